"""Protocol buffers ↔ the worker's own types, and nothing else."""

import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import grpc

from protos import common_pb2, text_to_speech_pb2_grpc
from protos import text_to_speech_pb2 as pb
from services.errors import InvalidRequest, translated
from services.server import Drain
from services.telemetry import call_id
from tts_worker import samples
from tts_worker.casting import Open, speaks
from tts_worker.request import Command, Flush, Phrase, Stop
from tts_worker.session import Done, Event, Leaving, Opened, Session, Sounding
from tts_worker.sound import Encoding
from tts_worker.studio import Studio

_ENCODINGS = {
    common_pb2.ENCODING_PCM_S16LE: Encoding.PCM_S16LE,
    common_pb2.ENCODING_MULAW: Encoding.MULAW,
    common_pb2.ENCODING_ALAW: Encoding.ALAW,
}


class TextToSpeech(text_to_speech_pb2_grpc.TextToSpeechServicer):
    """The service of `protos/text_to_speech.proto`."""

    def __init__(self, studio: Studio, drain: Drain, worker_id: str) -> None:
        self._studio = studio
        self._drain = drain
        self._worker_id = worker_id

    @translated
    async def Synthesize(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[pb.SynthesizeRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.SynthesizeResponse]:
        """One utterance."""
        session = Session(self._studio, self._drain, default_seed=secrets.randbits(63))
        # A client that went away while a message was being written to it leaves this generator standing.
        context.add_done_callback(cast(Any, lambda _: session.close()))
        async with aclosing(session.run(_commands(requests))) as events:
            async for event in events:
                yield self._response(event)

    @translated
    async def ListVoices(  # noqa: N802 - gRPC's name
        self, request: pb.ListVoicesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListVoicesResponse:
        """The voices that speak `request.language`."""
        return pb.ListVoicesResponse(
            voices=[
                pb.Voice(
                    name=voice.name,
                    languages=voice.languages,
                    description=voice.description,
                    sample=self._studio.samples[voice.name],
                    sample_rate=samples.RATE,
                )
                for voice in self._studio.voices
                if speaks(voice, request.language)
            ]
        )

    def _response(self, event: Event) -> pb.SynthesizeResponse:
        match event:
            case Opened(casting):
                opened = pb.Opened(
                    model=self._studio.model,
                    worker_id=self._worker_id,
                    voice=casting.voice.name,
                    sample_rate=casting.rate,
                )
                return pb.SynthesizeResponse(opened=opened)
            case Sounding():
                return pb.SynthesizeResponse(audio=_audio(event))
            case Leaving(seconds):
                return pb.SynthesizeResponse(draining=common_pb2.Draining(deadline_seconds=seconds))
            case Done(audio, first_audio, total):
                done = pb.Done(audio_seconds=audio, first_audio_seconds=first_audio, total_seconds=total)
                return pb.SynthesizeResponse(done=done)


def _audio(event: Sounding) -> pb.Audio:
    audio = event.audio
    return pb.Audio(
        phrase_id=audio.phrase_id,
        data=event.data,
        span_start=audio.span[0],
        span_end=audio.span[1],
        first_sample=event.first_sample,
        last_of_phrase=audio.last_of_phrase,
        resume=audio.resume,
    )


async def _commands(requests: AsyncIterator[pb.SynthesizeRequest]) -> AsyncIterator[Command]:
    """The stream's messages as commands. Raises InvalidRequest for an empty one."""
    async for request in requests:
        match request.WhichOneof("message"):
            case "open":
                call_id.set(request.open.conversation_id)
                yield _open(request.open)
            case "phrase":
                yield Phrase(request.phrase.phrase_id, request.phrase.text)
            case "flush":
                yield Flush()
            case "stop":
                yield Stop()
            case _:
                raise InvalidRequest("message", "empty; valid: open, phrase, flush, stop")


def _open(message: pb.Open) -> Open:
    return Open(
        voice=message.voice,
        language=message.language,
        sample_rate=message.sample_rate,
        encoding=_ENCODINGS.get(message.encoding),
        seed=message.seed if message.HasField("seed") else None,
        guidance=message.guidance if message.HasField("guidance") else None,
        speed=message.speed if message.HasField("speed") else None,
        resume=message.resume if message.HasField("resume") else None,
        reference_audio=message.reference_audio if message.HasField("reference_audio") else None,
    )
