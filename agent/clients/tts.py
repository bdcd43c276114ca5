"""The voice as one utterance sees it: phrases in, sound out, whichever worker is alive."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import numpy as np

from agent.clients.failover import Draining, Failover, Opened, Terms, keeping
from agent.clients.inbox import Inbox
from agent.clients.progress import Heard, Progress
from agent.clients.types import SpeechAudio, Voice
from agent.clients.workers import Workers
from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from protos import text_to_speech_pb2_grpc as pb_grpc
from services.errors import InvalidRequest, ServiceError, Unavailable, from_rpc
from services.telemetry import count_request

PATIENCE = 1.2
INBOX = 256
"""Messages of sound, some 25 s: an utterance that runs further ahead waits in the worker."""
LIST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Done:
    """The worker has said everything."""


class Mouth:
    """One utterance. Methods are non-blocking."""

    def __init__(self, workers: Workers, opening: pb.Open) -> None:
        """For TextToSpeech."""
        self._open = opening
        self._progress = Progress()
        self._inbox: Inbox[SpeechAudio] = Inbox(INBOX)
        terms: Terms[pb.SynthesizeRequest, pb.SynthesizeResponse, Heard | _Done]
        terms = Terms(_method, _decode, PATIENCE)
        self._failover = Failover(workers, terms, self)

    def phrase(self, phrase_id: int, text: str) -> None:
        """Speak `text` (1 to 2000 code points) after what came before. Raises ValueError unless the ids grow."""
        self._progress.add(phrase_id, text)
        self._failover.send(_phrase(phrase_id, text))

    def flush(self) -> None:
        """No more phrases follow."""
        self._progress.flushed = True
        self._failover.send(pb.SynthesizeRequest(flush=pb.Flush()))

    def stop(self) -> None:
        """Speak no further phrase; `audio` ends after the phrase under way. (To be silent at once: leave.)"""
        self._progress.stopped = True
        self._failover.send(pb.SynthesizeRequest(stop=pb.Stop()))

    def audio(self) -> AsyncIterator[SpeechAudio]:
        """Sound in order; ends after flush or stop. Raises Unavailable when no worker was reachable for 1.2 s,
        InvalidRequest, NotFound (voice), InternalError."""
        return self._inbox.listen()

    # What Failover calls.

    def opening(self) -> Iterable[pb.SynthesizeRequest]:
        if self._progress.resume:
            self._open.resume = self._progress.resume
        else:
            self._open.ClearField("resume")
        yield pb.SynthesizeRequest(open=self._open)
        for phrase_id, text in self._progress.remaining():
            yield _phrase(phrase_id, text)
        if self._progress.stopped:
            yield pb.SynthesizeRequest(stop=pb.Stop())
        elif self._progress.flushed:
            yield pb.SynthesizeRequest(flush=pb.Flush())

    def opened(self) -> None:
        """Nothing to do."""

    async def received(self, event: Heard | _Done) -> None:
        match event:
            case Heard():
                if (audio := self._progress.accept(event)) is not None:
                    await self._inbox.deliver(audio)
            case _Done():
                self._progress.done = True
                self._inbox.end()

    def lost(self, opened: bool) -> None:
        """Nothing to do: the progress holds what is needed."""

    def unreachable(self, error: ServiceError) -> None:
        self._inbox.end(Unavailable(f"no voice within {PATIENCE:g} s: {error}"))

    def movable(self) -> bool:
        return False  # an utterance is short: it ends where it is, and is resumed elsewhere if it is cut off

    def refused(self, error: ServiceError) -> bool:
        """Another version of the worker may not know the blob: the phrase under way is begun again without it."""
        if not isinstance(error, InvalidRequest) or not self._progress.resume:
            return False
        self._progress.resume = b""
        return True

    def complete(self) -> bool:
        return self._progress.complete()

    def ended(self, error: ServiceError | None) -> None:
        self._inbox.end(error)


class TextToSpeech:
    """Opens mouths. One per process."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @asynccontextmanager
    async def open(
        self,
        call_id: str,
        voice: str = "",
        language: str = "",
        rate: int = 8000,
        seed: int | None = None,
        speed: float | None = None,
    ) -> AsyncIterator[Mouth]:
        """An utterance that lives as long as the context; leaving it early silences it."""
        opening = pb.Open(
            conversation_id=call_id,
            voice=voice,
            language=language,
            sample_rate=rate,
            encoding=common_pb2.ENCODING_PCM_S16LE,
            # Always one: a phrase that has to be begun again must sound the same.
            seed=random.getrandbits(63) if seed is None else seed,
            speed=speed,
        )
        mouth = Mouth(self._workers, opening)
        async with keeping(mouth._failover, call_id):
            yield mouth

    async def list_voices(self, language: str = "") -> tuple[Voice, ...]:
        """Voices of one worker. Raises ServiceError of the last worker asked."""
        problem: ServiceError = Unavailable("no worker")
        for _ in self._workers.names:
            target = await self._workers.pick()
            stub = pb_grpc.TextToSpeechStub(target.channel)
            try:
                reply = await stub.ListVoices(pb.ListVoicesRequest(language=language), timeout=LIST_SECONDS)
            except grpc.aio.AioRpcError as error:
                problem = from_rpc(error)
                self._workers.failed(target, problem)
                count_request(self._workers.service, error.code().name)
            else:
                count_request(self._workers.service, "OK")
                return tuple(Voice(v.name, tuple(v.languages), v.description) for v in reply.voices)
        raise problem


def _method(
    channel: grpc.aio.Channel,
) -> "grpc.aio.StreamStreamMultiCallable[pb.SynthesizeRequest, pb.SynthesizeResponse]":
    return pb_grpc.TextToSpeechStub(channel).Synthesize


def _phrase(phrase_id: int, text: str) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(phrase=pb.Phrase(phrase_id=phrase_id, text=text))


def _decode(response: pb.SynthesizeResponse) -> Heard | _Done | Opened | Draining | None:
    match response.WhichOneof("message"):
        case "opened":
            return Opened(response.opened.worker_id)
        case "draining":
            return Draining(response.draining.deadline_seconds)
        case "audio":
            sound = response.audio
            whole = len(sound.data) // 2 * 2
            audio = SpeechAudio(
                phrase_id=sound.phrase_id,
                samples=np.frombuffer(sound.data[:whole], dtype="<i2").astype(np.int16),
                span_start=sound.span_start,
                span_end=sound.span_end,
                first_sample=sound.first_sample,
                last_of_phrase=sound.last_of_phrase,
            )
            return Heard(audio, sound.resume)
        case "done":
            return _Done()
        case _:  # of a later version of the contract
            return None
