"""The recogniser as one call sees it: sound and questions in, words out, whichever worker is alive."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import grpc

from agent.audio import Samples
from agent.clients.failover import Draining, Failover, Opened, Terms, keeping
from agent.clients.inbox import Inbox
from agent.clients.journal import Ask, Chunk, Entry, Journal
from agent.clients.types import EarBack, EarEvent, EarLost, Partial, Transcript, TranscriptKind, Word
from agent.clients.workers import Workers
from protos import common_pb2
from protos import speech_to_text_pb2 as pb
from protos import speech_to_text_pb2_grpc as pb_grpc
from services.errors import ServiceError

PATIENCE = 1.0
INBOX = 500

_KINDS = {
    TranscriptKind.SPECULATIVE: pb.TRANSCRIPT_KIND_SPECULATIVE,
    TranscriptKind.FINAL: pb.TRANSCRIPT_KIND_FINAL,
}


class Ear:
    """One call's stream. Methods are non-blocking; entering does not wait for a worker."""

    def __init__(self, workers: Workers, opening: pb.Open) -> None:
        """For SpeechToText."""
        self._open = opening
        self._journal = Journal(opening.sample_rate)
        self._inbox: Inbox[EarEvent] = Inbox(INBOX)
        self._deaf = False
        self._understood = 0  # the partials that were delivered cover the sound up to here
        terms: Terms[pb.RecognizeRequest, pb.RecognizeResponse, EarEvent] = Terms(_method, _decode, PATIENCE)
        self._failover = Failover(workers, terms, self)

    def audio(self, position: int, samples: Samples) -> None:
        """20 ms (or any length) at `position`. What is not pushed is silence. Positions never go back."""
        self._send(self._journal.push(position, samples))

    def transcribe(self, request_id: int, through: int, kind: TranscriptKind) -> None:
        """Ask for the text up to `through`; the answer is a Transcript event, whatever happens to the worker."""
        self._send(self._journal.ask(Ask(request_id, through, kind)))

    def hints(self, phrases: Sequence[str]) -> None:
        """Names and words that may be said from now on."""
        hints = pb.Hints(phrases=phrases)
        self._open.hints.CopyFrom(hints)
        self._failover.send(pb.RecognizeRequest(hints=hints))

    def events(self) -> AsyncIterator[EarEvent]:
        """Everything heard, in order; one consumer. Raises InvalidRequest, NotFound, InternalError (after retries)."""
        return self._inbox.listen()

    # What Failover calls.

    def opening(self) -> Iterable[pb.RecognizeRequest]:
        yield pb.RecognizeRequest(open=self._open)
        yield from map(_request, self._journal.replay())

    def opened(self) -> None:
        if self._deaf:
            self._deaf = False
            self._inbox.post(EarBack())

    async def received(self, event: EarEvent) -> None:
        match event:
            case Transcript(request_id) if not self._journal.answered(request_id, event.superseded):
                return  # answered before by a worker that is gone
            case Partial(through=through) if through < self._understood:
                return  # a worker that took over is still catching up
            case Partial(through=through):
                self._understood = through
        await self._inbox.deliver(event)

    def lost(self, opened: bool) -> None:
        """Nothing to do: the journal holds what is needed."""

    def unreachable(self, error: ServiceError) -> None:
        if not self._deaf:
            self._deaf = True
            self._inbox.post(EarLost(str(error)))

    def movable(self) -> bool:
        return not self._journal.waiting

    def refused(self, error: ServiceError) -> bool:
        return False

    def complete(self) -> bool:
        return False

    def ended(self, error: ServiceError | None) -> None:
        self._inbox.end(error)

    def _send(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._failover.send(_request(entry))


class SpeechToText:
    """Opens ears. One per process."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @asynccontextmanager
    async def open(self, call_id: str, rate: int, language: str = "", hints: Sequence[str] = ()) -> AsyncIterator[Ear]:
        """A stream that lives as long as the context. `rate` of the audio: 8000 or 16000."""
        opening = pb.Open(
            conversation_id=call_id,
            language=language,
            sample_rate=rate,
            encoding=common_pb2.ENCODING_PCM_S16LE,
            hints=pb.Hints(phrases=hints),
            partials=True,
        )
        ear = Ear(self._workers, opening)
        async with keeping(ear._failover, call_id):
            yield ear


def _method(
    channel: grpc.aio.Channel,
) -> "grpc.aio.StreamStreamMultiCallable[pb.RecognizeRequest, pb.RecognizeResponse]":
    return pb_grpc.SpeechToTextStub(channel).Recognize


def _request(entry: Entry) -> pb.RecognizeRequest:
    match entry:
        case Chunk():
            data = entry.samples.astype("<i2", copy=False).tobytes()
            return pb.RecognizeRequest(audio=pb.Audio(first_sample=entry.first, data=data))
        case Ask():
            ask = pb.Transcribe(request_id=entry.request_id, through_sample=entry.through, kind=_KINDS[entry.kind])
            return pb.RecognizeRequest(transcribe=ask)


def _decode(response: pb.RecognizeResponse) -> EarEvent | Opened | Draining | None:
    match response.WhichOneof("message"):
        case "opened":
            return Opened(response.opened.worker_id)
        case "draining":
            return Draining(response.draining.deadline_seconds)
        case "partial":
            partial = response.partial
            return Partial(partial.stable, partial.rest, partial.through_sample)
        case "transcript":
            return _transcript(response.transcript)
        case _:  # of a later version of the contract
            return None


def _transcript(said: pb.Transcript) -> Transcript:
    final = said.kind == pb.TRANSCRIPT_KIND_FINAL
    return Transcript(
        request_id=said.request_id,
        kind=TranscriptKind.FINAL if final else TranscriptKind.SPECULATIVE,
        text=said.text,
        words=tuple(Word(w.text, w.first_sample, w.end_sample, w.confidence) for w in said.words),
        through=said.through_sample,
        superseded=said.superseded,
        queue_seconds=said.queue_seconds,
        decode_seconds=said.decode_seconds,
        no_speech_probability=said.no_speech_probability,
    )
