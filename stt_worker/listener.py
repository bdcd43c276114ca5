"""One call at work: its stream, its decodes under way, the requests that wait for them. All in the event loop."""

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field, replace

from services.errors import Busy, InvalidRequest, Unavailable
from stt_worker import metrics
from stt_worker.decoding import understand
from stt_worker.engine import Engine
from stt_worker.outbox import Answer, Leaving, Outbox
from stt_worker.pool import DecoderPool, Done, Handle, Superseded
from stt_worker.scheduler import Kind
from stt_worker.sound import Pcm
from stt_worker.stream import Stream
from stt_worker.transcript import Ask, Task, Understood, joined

MOST_UNANSWERED = 8
"""Requests of one stream without an answer that the client has taken. Beyond, nothing more is read from it."""

RECENT_IDS = 256
"""A request id is refused if it is one of the last so many."""

Heard = tuple[Understood, ...] | None
Pool = DecoderPool[Heard]

_numbers = itertools.count(1)


@dataclass(eq=False)
class _Decode:
    """A task that was submitted, and who waits for it: requests and when they came."""

    task: Task
    handle: Handle[Heard]
    asks: list[tuple[Ask, float]] = field(default_factory=list)


class Listener:
    """Feeds one stream and puts what comes of it into `outbox`."""

    def __init__(self, stream: Stream, engine: Engine, pool: Pool, partials: bool) -> None:
        self.outbox = Outbox()
        self._stream = stream
        self._engine = engine
        self._pool = pool
        self._partials = partials
        self._number = next(_numbers)
        self._decodes: list[_Decode] = []
        self._ids: deque[int] = deque(maxlen=RECENT_IDS)
        self._ended = False
        self._progress = asyncio.Event()

    def hint(self, hints: tuple[str, ...]) -> None:
        """Use these from the next decode on."""
        self._stream.hint(hints)

    async def hear(self, first: int, samples: Pcm) -> None:
        """Take in sound. Waits while more of it is undecided than a stream may hold. Raises InvalidRequest."""
        self._stream.hear(first, samples)
        if not self._under_way(Kind.SETTLE) and (task := self._stream.settle()):
            self._submit(task)
        if self._partials and not self._decodes and self._pool.free and (task := self._stream.partial()):
            self._submit(task)
        while self._stream.overfull and self._decodes:
            self._progress.clear()
            await self._progress.wait()

    async def ask(self, ask: Ask) -> None:
        """Take a request. Waits while too many have no answer. Raises InvalidRequest, Busy."""
        if ask.request_id in self._ids:
            raise InvalidRequest("transcribe.request_id", f"{ask.request_id} was used before in this stream")
        self._ids.append(ask.request_id)
        self._stream.check(ask)
        now = time.monotonic()
        if not self._answer_from_known(ask) and not self._wait_for_decode(ask, now):
            kind = Kind.FINAL if ask.final else Kind.SPECULATIVE
            task = self._stream.task(kind, ask.through, words=True)
            if task.pieces:
                self._submit(task, (ask, now))
            else:
                self._answer(ask, joined(task.before))
        if ask.final:
            self._stream.finish(ask.through)
            self._withdraw_unasked()
        await self._room()

    def leave(self, seconds: float) -> None:
        """Tell the client that the worker goes."""
        self.outbox.put(Leaving(seconds))

    def end(self) -> None:
        """The client asks nothing more: close the outbox when everything is answered."""
        self._ended = True
        self._close_if_answered()

    def close(self) -> None:
        """The stream is gone: take back what waits."""
        self._decodes.clear()
        self._pool.drop(self._number)

    def _answer_from_known(self, ask: Ask) -> bool:
        understood = self._stream.known(ask.through)
        if understood is None:
            return False
        metrics.REUSED.inc()
        self._answer(ask, understood)
        return True

    def _wait_for_decode(self, ask: Ask, now: float) -> bool:
        """Attach the request to a decode that has begun and hears all of it; one that only waits is replaced."""
        for decode in self._decodes:
            task = decode.task
            if task.words and task.turn == self._stream.turn and self._stream.same(task.through, ask.through):
                if self._pool.withdraw(decode.handle):
                    return False
                metrics.REUSED.inc()
                decode.asks.append((ask, now))
                return True
        return False

    def _submit(self, task: Task, *asks: tuple[Ask, float]) -> None:
        handle = self._pool.submit(self._number, task.kind, lambda give_up: understand(task, self._engine, give_up))
        decode = _Decode(task, handle, list(asks))
        self._decodes.append(decode)
        handle.future.add_done_callback(lambda future: self._finished(decode, future))

    def _finished(self, decode: _Decode, future: "asyncio.Future[Done[Heard]]") -> None:
        if decode not in self._decodes:  # the stream is closed
            if not future.cancelled():
                future.exception()
            return
        self._decodes.remove(decode)
        self._progress.set()
        if future.cancelled() or isinstance(future.exception(), Superseded):
            self._supersede(decode)
        elif error := future.exception():
            self.outbox.close(error)
        else:
            self._take(decode, future.result())
        self._close_if_answered()

    def _take(self, decode: _Decode, done: Done[Heard]) -> None:
        label = decode.task.kind.name.lower()
        metrics.DECODES.labels(label).inc()
        metrics.DECODE_SECONDS.labels(label).inc(done.finished - done.begun)
        if done.value is None:
            self._retry(decode)
            return
        hypothesis = self._stream.learn(decode.task, done.value)
        for ask, asked in decode.asks:
            self._answer(ask, joined((*decode.task.before, *done.value)), asked, done)
        if hypothesis and self._partials and decode.task.kind is Kind.PARTIAL and not decode.asks:
            self.outbox.put(hypothesis)

    def _retry(self, decode: _Decode) -> None:
        """A decode that gave way to others had become one that somebody waits for."""
        if not decode.asks:
            return
        final = any(ask.final for ask, _ in decode.asks)
        task = replace(decode.task, kind=Kind.FINAL if final else Kind.SPECULATIVE)
        try:
            self._submit(task, *decode.asks)
        except (Busy, Unavailable) as error:
            self.outbox.close(error)

    def _supersede(self, decode: _Decode) -> None:
        for ask, _ in decode.asks:
            self.outbox.put(Answer(ask, superseded=True))

    def _answer(self, ask: Ask, understood: Understood, asked: float = 0.0, done: Done[Heard] | None = None) -> None:
        queue = max(0.0, done.begun - asked) if done else 0.0
        decode = done.finished - max(done.begun, asked) if done else 0.0
        if ask.final:
            metrics.FINAL_SECONDS.observe(queue + decode)
        self.outbox.put(Answer(ask, understood, False, queue, decode))

    def _withdraw_unasked(self) -> None:
        for decode in list(self._decodes):
            if not decode.asks:
                self._pool.withdraw(decode.handle)

    def _under_way(self, kind: Kind) -> bool:
        return any(decode.task.kind is kind for decode in self._decodes)

    def _unanswered(self) -> int:
        return sum(len(decode.asks) for decode in self._decodes)

    async def _room(self) -> None:
        while self._unanswered() + len(self.outbox) > MOST_UNANSWERED:
            self.outbox.taken.clear()
            await self.outbox.taken.wait()

    def _close_if_answered(self) -> None:
        if self._ended and not self._unanswered():
            self.outbox.close()
