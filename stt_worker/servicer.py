"""Proto ↔ domain, and the life of one stream. Every rule on a single message is checked here, the rest in `Stream`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from protos import common_pb2, speech_to_text_pb2, speech_to_text_pb2_grpc
from services.errors import Busy, InvalidRequest, Unavailable, translated
from services.server import Drain
from services.telemetry import call_id
from stt_worker import metrics
from stt_worker.config import SttSettings
from stt_worker.engine import Engine
from stt_worker.listener import Listener, Pool
from stt_worker.outbox import Answer, Leaving, Result
from stt_worker.sound import Pcm, from_alaw, from_mulaw, from_pcm
from stt_worker.stream import Stream
from stt_worker.transcript import Ask

Request = speech_to_text_pb2.RecognizeRequest
Response = speech_to_text_pb2.RecognizeResponse

RATES = (8000, 16000, 24000, 48000)
MOST_HINTS = 100
LONGEST_TEXT = 64
LONGEST_AUDIO_SECONDS = 0.2
_HARD_STOP_SECONDS = 0.2
"""Streams end with a clear status this long before the server cuts them."""

log = logging.getLogger(__name__)


@dataclass
class Ready:
    """What the servicer needs to serve, set when it is warm."""

    engine: Engine
    pool: Pool


class Recognizer(speech_to_text_pb2_grpc.SpeechToTextServicer):
    """The service. Refuses streams beyond `settings.max_streams`; before `ready` is set and while the worker drains,
    the server has refused them already."""

    def __init__(self, settings: SttSettings, drain: Drain, worker_id: str) -> None:
        self._settings = settings
        self._drain = drain
        self._worker_id = worker_id
        self._streams = 0
        self.ready: Ready | None = None

    @translated
    async def Recognize(  # noqa: N802 - the contract's name
        self, requests: AsyncIterator[Request], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Response]:
        """One call."""
        with self._place() as ready:
            opening = await anext(aiter(requests), None)
            if opening is None or opening.WhichOneof("message") != "open":
                raise InvalidRequest("message", "the first message of a stream must be open")
            listener = self._listener(opening.open, ready)
            call_id.set(opening.open.conversation_id)
            log.info("stream opened", extra={"rate": opening.open.sample_rate, "streams": self._streams})
            yield Response(opened=speech_to_text_pb2.Opened(model=ready.engine.name, worker_id=self._worker_id))
            tasks = [
                asyncio.create_task(_read(requests, opening.open, listener)),
                asyncio.create_task(self._warn(listener)),
            ]
            try:
                async for result in listener.outbox.results():
                    yield _response(result)
            finally:
                listener.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                log.info("stream closed")

    @contextmanager
    def _place(self) -> Iterator[Ready]:
        if self.ready is None:
            raise Unavailable("the model is not warm yet")
        if self._streams >= self._settings.max_streams:
            raise Busy(f"all {self._settings.max_streams} places are taken", retry_after=1.0)
        self._streams += 1
        metrics.STREAMS.set(self._streams)
        try:
            yield self.ready
        finally:
            self._streams -= 1
            metrics.STREAMS.set(self._streams)

    def _listener(self, opening: speech_to_text_pb2.Open, ready: Ready) -> Listener:
        _check_opening(opening, ready.engine)
        hints = _hints(opening.hints, "open.hints")
        stream = Stream(opening.sample_rate, opening.language, hints, self._settings.partial_seconds)
        return Listener(stream, ready.engine, ready.pool, opening.partials)

    async def _warn(self, listener: Listener) -> None:
        """Say once that the worker leaves, and end the stream at the deadline."""
        await self._drain.started.wait()
        listener.leave(self._drain.remaining())
        await asyncio.sleep(max(0.0, self._drain.remaining() - _HARD_STOP_SECONDS))
        listener.outbox.close(Unavailable("this worker has stopped; use another"))


async def _read(requests: AsyncIterator[Request], opening: speech_to_text_pb2.Open, listener: Listener) -> None:
    """Feed the listener until the client closes its side; what is wrong ends the stream."""
    try:
        async for request in requests:
            match request.WhichOneof("message"):
                case "audio":
                    await listener.hear(request.audio.first_sample, _samples(request.audio, opening))
                case "transcribe":
                    await listener.ask(_ask(request.transcribe))
                case "hints":
                    listener.hint(_hints(request.hints, "hints"))
                case "open":
                    raise InvalidRequest("message", "open was sent before; it is sent once")
                case _:
                    raise InvalidRequest("message", "is empty; set open, audio, transcribe or hints")
        listener.end()
    except Exception as error:  # noqa: BLE001 - carried to the stream, which translates it
        listener.outbox.close(error)


def _check_opening(opening: speech_to_text_pb2.Open, engine: Engine) -> None:
    if len(opening.conversation_id) > LONGEST_TEXT:
        raise InvalidRequest("open.conversation_id", f"is longer than {LONGEST_TEXT} characters")
    if opening.sample_rate not in RATES:
        raise InvalidRequest("open.sample_rate", f"{opening.sample_rate} is not one of {', '.join(map(str, RATES))}")
    if opening.encoding not in _DECODERS:
        raise InvalidRequest("open.encoding", "is not PCM_S16LE, MULAW or ALAW")
    if opening.encoding != common_pb2.ENCODING_PCM_S16LE and opening.sample_rate != 8000:
        raise InvalidRequest("open.encoding", "G.711 has 8000 samples per second")
    if not engine.understands(opening.language):
        raise InvalidRequest("open.language", f"{opening.language!r} is not known to {engine.name}")


_DECODERS = {
    common_pb2.ENCODING_PCM_S16LE: from_pcm,
    common_pb2.ENCODING_MULAW: from_mulaw,
    common_pb2.ENCODING_ALAW: from_alaw,
}


def _samples(audio: speech_to_text_pb2.Audio, opening: speech_to_text_pb2.Open) -> Pcm:
    if opening.encoding == common_pb2.ENCODING_PCM_S16LE and len(audio.data) % 2:
        raise InvalidRequest("audio.data", f"{len(audio.data)} bytes are not a whole number of 16 bit samples")
    samples = _DECODERS[opening.encoding](audio.data)
    if len(samples) > opening.sample_rate * LONGEST_AUDIO_SECONDS:
        raise InvalidRequest(
            "audio.data",
            f"{len(samples) / opening.sample_rate:.3f} s in one message; at most {LONGEST_AUDIO_SECONDS} s",
        )
    return samples


def _hints(hints: speech_to_text_pb2.Hints, field: str) -> tuple[str, ...]:
    if len(hints.phrases) > MOST_HINTS:
        raise InvalidRequest(f"{field}.phrases", f"{len(hints.phrases)} are more than {MOST_HINTS}")
    if any(len(phrase) > LONGEST_TEXT for phrase in hints.phrases):
        raise InvalidRequest(f"{field}.phrases", f"one is longer than {LONGEST_TEXT} characters")
    return tuple(hints.phrases)


def _ask(transcribe: speech_to_text_pb2.Transcribe) -> Ask:
    kinds = (speech_to_text_pb2.TRANSCRIPT_KIND_SPECULATIVE, speech_to_text_pb2.TRANSCRIPT_KIND_FINAL)
    if transcribe.kind not in kinds:
        raise InvalidRequest("transcribe.kind", "is not SPECULATIVE or FINAL")
    return Ask(transcribe.request_id, transcribe.through_sample, transcribe.kind == kinds[1])


def _response(result: Result) -> Response:
    match result:
        case Answer():
            return Response(transcript=_transcript(result))
        case Leaving(seconds):
            return Response(draining=common_pb2.Draining(deadline_seconds=seconds))
        case _:
            return Response(
                partial=speech_to_text_pb2.Partial(
                    stable=result.stable, rest=result.rest, through_sample=result.through
                )
            )


def _transcript(answer: Answer) -> speech_to_text_pb2.Transcript:
    kind = (
        speech_to_text_pb2.TRANSCRIPT_KIND_FINAL if answer.ask.final else speech_to_text_pb2.TRANSCRIPT_KIND_SPECULATIVE
    )
    if answer.superseded:
        return speech_to_text_pb2.Transcript(request_id=answer.ask.request_id, kind=kind, superseded=True)
    return speech_to_text_pb2.Transcript(
        request_id=answer.ask.request_id,
        kind=kind,
        text=answer.understood.text,
        words=[
            speech_to_text_pb2.Word(text=w.text, first_sample=w.first, end_sample=w.end, confidence=w.confidence)
            for w in answer.understood.words
        ],
        through_sample=answer.ask.through,
        queue_seconds=answer.queue_seconds,
        decode_seconds=answer.decode_seconds,
        no_speech_probability=answer.understood.no_speech,
    )
