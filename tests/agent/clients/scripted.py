"""Small workers that keep the contracts strictly, with faults on demand. Also a process of its own, to be killed:
`python -m tests.agent.clients.scripted stt|llm|tts PORT PACE`."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from agent.clients.workers import LANGUAGE_MODEL, SPEECH_TO_TEXT, TEXT_TO_SPEECH
from protos import language_model_pb2_grpc as llm_grpc
from protos import speech_to_text_pb2 as stt
from protos import speech_to_text_pb2_grpc as stt_grpc
from protos import text_to_speech_pb2 as tts
from protos import text_to_speech_pb2_grpc as tts_grpc
from scripts.ports import free_port
from services.errors import InvalidRequest, NotFound, translated
from tests.agent.clients.scripted_base import ENDED, Base
from tests.agent.clients.scripted_llm import Model


class Recogniser(Base, stt_grpc.SpeechToTextServicer):
    """Understands a checksum: "FIRST-THROUGH:SUM" of the sound since the last final transcript, gaps being zeros."""

    @translated
    async def Recognize(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        samples: dict[int, np.ndarray] = {}
        end = start = 0
        answers: set[asyncio.Task[None]] = set()

        async def answer(ask: Any, out: Any) -> None:
            nonlocal start
            await self.faults.release()
            total = 0
            for first, sound in samples.items():
                a, b = max(first, start), min(first + len(sound), ask.through_sample)
                total += int(sound[a - first : b - first].sum()) if a < b else 0
            text = f"{start}-{ask.through_sample}:{total}"
            if ask.kind == stt.TRANSCRIPT_KIND_FINAL:
                start = ask.through_sample
            words = [stt.Word(text=text, first_sample=start, end_sample=ask.through_sample, confidence=0.5)]
            said = stt.Transcript(
                request_id=ask.request_id, kind=ask.kind, text=text, words=words, through_sample=ask.through_sample
            )
            out.put_nowait(stt.RecognizeResponse(transcript=said))

        async def handle(request: Any, out: Any) -> None:
            nonlocal end
            match request.WhichOneof("message"):
                case "audio":
                    sound = np.frombuffer(request.audio.data, "<i2").astype(np.int64)
                    if request.audio.first_sample < end or not 160 <= len(sound) <= 1600:
                        raise InvalidRequest("audio", f"{request.audio.first_sample} < {end} or {len(sound)} samples")
                    samples[request.audio.first_sample] = sound
                    end = request.audio.first_sample + len(sound)
                    partial = stt.Partial(stable="so far", rest=str(end), through_sample=end)
                    out.put_nowait(stt.RecognizeResponse(partial=partial))
                case "transcribe":
                    # In order, but the reader goes on reading.
                    task = asyncio.create_task(answer(request.transcribe, out))
                    answers.add(task)

        try:
            opened = stt.RecognizeResponse(opened=stt.Opened(model="scripted"))
            async for response in self.serve(requests, handle, opened, lambda d: stt.RecognizeResponse(draining=d)):
                yield response
        finally:
            for task in answers:
                task.cancel()


RATE = 8000


def sound_of(phrase_id: int, seed: int, text: str) -> np.ndarray:
    """80 ms a code point, every sample different from its neighbours."""
    start = seed % 1000 + phrase_id * 10_000
    return ((start + np.arange(640 * len(text))) % 30_000).astype(np.int16)


class Voice(Base, tts_grpc.TextToSpeechServicer):
    """Counts instead of speaking; see `sound_of`. `blobs`: whether it can resume."""

    pace = 0.0
    blobs = True
    maker = 1

    @translated
    async def Synthesize(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        phrases: asyncio.Queue[Any] = asyncio.Queue()
        state: dict[str, Any] = {"skip": (-1, 0), "stop": False}
        speaking: list[asyncio.Task[None]] = []

        async def speak(out: Any) -> None:
            while (phrase := await phrases.get()) is not None and not state["stop"]:
                sound = sound_of(phrase.phrase_id, state["seed"], phrase.text)
                first = state["skip"][1] if phrase.phrase_id == state["skip"][0] else 0
                for i in range(first, len(sound), 640):
                    await asyncio.sleep(self.pace)
                    await self.faults.release()
                    blob = struct.pack(">IQQ", self.maker, phrase.phrase_id, i + 640) if self.blobs else b""
                    audio = tts.Audio(
                        phrase_id=phrase.phrase_id,
                        data=sound[i : i + 640].tobytes(),
                        span_start=i // 640,
                        span_end=i // 640 + 1,
                        first_sample=i,
                        last_of_phrase=i + 640 >= len(sound),
                        resume=blob,
                    )
                    out.put_nowait(tts.SynthesizeResponse(audio=audio))
            out.put_nowait(tts.SynthesizeResponse(done=tts.Done()))
            out.put_nowait(ENDED)

        async def handle(request: Any, out: Any) -> None:
            match request.WhichOneof("message"):
                case "open":
                    state["seed"] = request.open.seed
                    if request.open.voice == "nobody":
                        raise NotFound("voice nobody; there are: one")
                    if request.open.HasField("resume"):
                        maker, *skip = struct.unpack(">IQQ", request.open.resume)
                        if maker != self.maker:
                            raise InvalidRequest("open.resume", "from another version")
                        state["skip"] = tuple(skip)
                    speaking.append(asyncio.create_task(speak(out)))
                case "phrase":
                    if request.phrase.phrase_id < state["skip"][0]:
                        raise InvalidRequest("phrase", "before the one to resume")
                    phrases.put_nowait(request.phrase)
                case "flush":
                    phrases.put_nowait(None)
                case "stop":
                    state["stop"] = True
                    phrases.put_nowait(None)

        try:
            opened = tts.SynthesizeResponse(opened=tts.Opened(model="scripted"))
            async for response in self.serve(requests, handle, opened, lambda d: tts.SynthesizeResponse(draining=d)):
                yield response
        finally:
            for task in speaking:
                task.cancel()

    @translated
    async def ListVoices(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.faults.on_open:
            raise self.faults.on_open
        return tts.ListVoicesResponse(voices=[tts.Voice(name="one", languages=["en"], description="counts")])


KINDS: dict[str, tuple[Any, Any, str]] = {
    "stt": (Recogniser, stt_grpc.add_SpeechToTextServicer_to_server, SPEECH_TO_TEXT),
    "llm": (Model, llm_grpc.add_LanguageModelServicer_to_server, LANGUAGE_MODEL),
    "tts": (Voice, tts_grpc.add_TextToSpeechServicer_to_server, TEXT_TO_SPEECH),
}


@dataclass
class Running:
    """A server in this process."""

    kind: str
    servicer: Any
    server: Any
    port: int

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """Break every stream off."""
        await self.server.stop(0)


async def start(kind: str, port: int = 0, servicer: Any = None) -> Running:
    make, add, name = KINDS[kind]
    servicer = servicer or make()
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add(servicer, server)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port(f"127.0.0.1:{port or free_port()}")
    await server.start()
    return Running(kind, servicer, server, port)


async def main(kind: str, port: str, pace: str) -> None:
    running = await start(kind, int(port))
    running.servicer.pace = float(pace)
    sys.stdout.write(f"{running.port}\n")
    sys.stdout.flush()
    await running.server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
