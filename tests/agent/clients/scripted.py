"""Small workers that keep the contracts strictly, with faults on demand. Also a process of its own, to be killed:
`python -m tests.agent.clients.scripted stt|llm|tts PORT`."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from agent.clients.workers import LANGUAGE_MODEL, SPEECH_TO_TEXT, TEXT_TO_SPEECH
from protos import common_pb2
from protos import language_model_pb2 as llm
from protos import language_model_pb2_grpc as llm_grpc
from protos import speech_to_text_pb2 as stt
from protos import speech_to_text_pb2_grpc as stt_grpc
from protos import text_to_speech_pb2 as tts
from protos import text_to_speech_pb2_grpc as tts_grpc
from services.errors import Busy, InvalidRequest, NotFound, ServiceError, translated

ENDED = object()


@dataclass
class Faults:
    """What goes wrong; tests change it while streams run."""

    on_open: ServiceError | None = None
    slow_open: float = 0.0
    held: bool = False
    """Results wait."""
    bug: bool = False
    """An exception after `opened`."""
    deaf: bool = False
    """After `open` nothing is read."""
    drain_seconds: float = 30.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False

    def set(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.changed.set()
        self.changed = asyncio.Event()

    async def release(self) -> None:
        while self.held:
            await self.changed.wait()


class Base:
    """A stream at a time: requests in, `out` put by handlers and by draining."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.streams: list[list[Any]] = []
        self.ended = 0

    async def serve(self, requests: Any, handler: Callable[[Any, Any], Any], opened: Any, draining: Any) -> Any:
        out: asyncio.Queue[Any] = asyncio.Queue()
        log: list[Any] = []
        self.streams.append(log)
        if self.faults.slow_open:
            await asyncio.sleep(self.faults.slow_open)
        if self.faults.on_open:
            raise self.faults.on_open
        log.append(await anext(aiter(requests)))
        await handler(log[0], out)
        tasks = [
            asyncio.create_task(self._read(requests, log, handler, out)),
            asyncio.create_task(self._watch_drain(out, draining)),
        ]
        try:
            yield opened
            if self.faults.bug:
                raise ZeroDivisionError("as told")
            while (response := await out.get()) is not ENDED:
                if isinstance(response, ServiceError):
                    raise response
                yield response
        finally:
            self.ended += 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, requests: Any, log: list[Any], handler: Any, out: Any) -> None:
        try:
            while self.faults.deaf:
                await self.faults.changed.wait()
            async for request in requests:
                log.append(request)
                await handler(request, out)
        except ServiceError as error:
            out.put_nowait(error)

    async def _watch_drain(self, out: Any, draining: Any) -> None:
        while not self.faults.draining:
            await self.faults.changed.wait()
        out.put_nowait(draining(common_pb2.Draining(deadline_seconds=self.faults.drain_seconds)))


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


class Model(Base, llm_grpc.LanguageModelServicer):
    """Repeats the last message, word by word; a message `call NAME` is answered by a tool call. `pace`: seconds."""

    pace = 0.0
    last: "Talk | None" = None
    """The conversation of the stream that ended last."""

    @translated
    async def Converse(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        talk = Talk()
        running: dict[int, asyncio.Task[None]] = {}

        async def generate(number: int, out: Any) -> None:
            text = talk.last_text()
            reason = llm.FINISH_REASON_END
            if text.startswith("call "):
                call = llm.ToolCall(id=f"c{number}", name=text.split()[1], arguments_json="{}")
                talk.entry(number).tool_calls.append(call)
                asked = llm.ToolCallRequest(generation_id=number, call=call)
                out.put_nowait(llm.ConverseResponse(tool_call=asked))
                reason = llm.FINISH_REASON_TOOL_CALLS
            else:
                for word in text.split():
                    await asyncio.sleep(self.pace)
                    await self.faults.release()
                    talk.entry(number).text += word + " "
                    delta = llm.TextDelta(generation_id=number, text=word + " ", token_ids=[len(word)])
                    out.put_nowait(llm.ConverseResponse(text=delta))
            talk.running = None
            out.put_nowait(llm.ConverseResponse(done=llm.Done(generation_id=number, reason=reason)))

        async def halt(number: int, out: Any) -> None:
            if talk.running == number:
                talk.running = None
                running[number].cancel()
                done = llm.Done(generation_id=number, reason=llm.FINISH_REASON_STOPPED)
                out.put_nowait(llm.ConverseResponse(done=done))

        async def handle(request: Any, out: Any) -> None:
            match request.WhichOneof("message"):
                case "open":
                    talk.open(request.open)
                case "append":
                    talk.append(request.append)
                    done = llm.Prefilled(message_id=request.append.message_id, tokens=1)
                    out.put_nowait(llm.ConverseResponse(prefilled=done))
                case "commit":
                    talk.provisional.discard(request.commit.message_id)
                case "retract":
                    if talk.running is not None and talk.running in talk.following(request.retract.message_id):
                        await halt(talk.running, out)
                    talk.retract(request.retract.message_id)
                case "generate":
                    number = request.generate.generation_id
                    talk.begin(number)
                    running[number] = asyncio.create_task(generate(number, out))
                case "stop":
                    await halt(request.stop.generation_id, out)
                case "truncate":
                    number = request.truncate.generation_id
                    await halt(number, out)
                    kept = talk.truncate(number, request.truncate.keep_code_points)
                    answer = llm.Truncated(generation_id=number, kept_text=kept)
                    out.put_nowait(llm.ConverseResponse(truncated=answer))

        try:
            opened = llm.ConverseResponse(opened=llm.Opened(model="scripted"))
            async for response in self.serve(requests, handle, opened, lambda d: llm.ConverseResponse(draining=d)):
                yield response
        finally:
            self.last = talk
            for task in running.values():
                task.cancel()


class Talk:
    """The rules of the contract about the history."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.provisional: set[int] = set()
        self.running: int | None = None

    def texts(self) -> list[tuple[int, str]]:
        return [(m.id, m.text or "".join(c.name for c in m.tool_calls)) for m in self.messages]

    def open(self, opening: Any) -> None:
        for message in opening.history:
            if any(message.id == other.id for other in self.messages):
                raise InvalidRequest("open.history", f"{message.id} twice")
            if message.role == llm.ROLE_ASSISTANT and not message.text and not message.tool_calls:
                raise InvalidRequest("open.history", f"{message.id} is empty")
            self.messages.append(message)

    def entry(self, number: int) -> Any:
        for message in self.messages:
            if message.id == number:
                return message
        raise InvalidRequest("id", f"{number} is unknown")

    def following(self, number: int) -> list[int]:
        ids = [m.id for m in self.messages]
        return ids[ids.index(number) :]

    def last_text(self) -> str:
        return [m.text for m in self.messages if m.role in (llm.ROLE_USER, llm.ROLE_TOOL)][-1]

    def append(self, append: Any) -> None:
        known = [m for m in self.messages if m.id == append.message_id]
        if known:
            if known[0] is not self.messages[-1]:
                raise InvalidRequest("append", "is not the last message")
            known[0].text += append.text
        else:
            if append.role == llm.ROLE_ASSISTANT:
                raise InvalidRequest("append.role", "assistant")
            self.messages.append(llm.Message(id=append.message_id, role=append.role, text=append.text))
            if append.provisional:
                self.provisional.add(append.message_id)
        if not append.provisional:
            self.provisional.discard(append.message_id)

    def retract(self, number: int) -> None:
        if number not in self.provisional:
            raise InvalidRequest("retract", f"{number} is not provisional")
        gone = self.following(number)
        self.messages = [m for m in self.messages if m.id not in gone]
        self.provisional -= set(gone)

    def begin(self, number: int) -> None:
        if self.running is not None or any(m.id == number for m in self.messages):
            raise InvalidRequest("generate", f"{number} while {self.running} runs, or taken")
        self.running = number
        self.messages.append(llm.Message(id=number, role=llm.ROLE_ASSISTANT))

    def truncate(self, number: int, keep: int) -> str:
        message = self.entry(number)
        if message.role != llm.ROLE_ASSISTANT:
            raise InvalidRequest("truncate", "no answer")
        # Tokens are words here: rounded down to the start of one.
        kept = message.text[:keep]
        if keep < len(message.text):
            kept = kept[: kept.rfind(" ") + 1]
        message.text = kept
        return kept


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
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return Running(kind, servicer, server, port)


async def until(condition: Callable[[], Any]) -> None:
    """Wait at most 10 s until `condition()` is true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what happens elsewhere has no event
            await asyncio.sleep(0.005)


async def main(kind: str, port: str, pace: str) -> None:
    running = await start(kind, int(port))
    running.servicer.pace = float(pace)
    sys.stdout.write(f"{running.port}\n")
    sys.stdout.flush()
    await running.server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

__all__ = ["KINDS", "Busy", "Model", "Recogniser", "Running", "Voice", "sound_of", "start", "until"]
