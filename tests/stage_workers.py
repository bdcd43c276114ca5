"""The three workers of the stage: a recogniser, a language model and a voice that follow a script."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.audio import Samples
from agent.clients.types import (
    Done,
    FinishReason,
    GenerationLost,
    Message,
    MindEvent,
    Opening,
    Role,
    SpeechAudio,
    TextDelta,
    ToolCall,
    ToolCallAsked,
    Transcript,
    TranscriptKind,
    Truncated,
)
from services.errors import Unavailable

RATE = 8000
CHARACTERS_PER_SECOND = 15.0


def tone(seconds: float, level: float = -20.0, rate: int = RATE) -> Samples:
    """A voice, as far as the scripted ear is concerned."""
    count = round(seconds * rate)
    amplitude = 32768 * 10 ** (level / 20) * np.sqrt(2)
    return (amplitude * np.sin(2 * np.pi * 300 * np.arange(count) / rate)).astype(np.int16)


@dataclass
class StageRecogniser:
    """Recognises one text after the other: a speculative answer is repeated until a final one was asked for."""

    texts: list[str]
    seconds: float = 0.1
    asked: list[tuple[int, TranscriptKind]] = field(default_factory=list)
    sent: int = 0
    dead: bool = False
    _events: asyncio.Queue[Transcript] = field(default_factory=asyncio.Queue)
    _heard: int = 0

    @asynccontextmanager
    async def open(self, call_id: str, rate: int, language: str = "", hints: Sequence[str] = ()) -> AsyncIterator[Any]:
        yield self

    def audio(self, position: int, samples: Samples) -> None:
        self.sent += len(samples)
        self._heard += int(np.count_nonzero(np.abs(samples) > 300))

    def transcribe(self, request_id: int, through: int, kind: TranscriptKind) -> None:
        self.asked.append((request_id, kind))
        text = self.texts[0] if self._heard > 200 and self.texts else ""
        if kind is TranscriptKind.FINAL:
            if self._heard > 200 and self.texts:
                self.texts.pop(0)
            self._heard = 0
        answer = Transcript(request_id, kind, text, (), through)
        if not self.dead:
            asyncio.get_running_loop().call_later(self.seconds, self._events.put_nowait, answer)

    async def events(self) -> AsyncIterator[Transcript]:
        while True:
            yield await self._events.get()


Reply = str | ToolCall | float
"""What a scripted model does: say words, ask for a tool, wait some seconds."""
Script = Callable[[Sequence[Message]], Sequence[Reply]]


class StageMind:
    """A language model that follows a script: given the history, what it says and asks for."""

    def __init__(self, script: Script, first_token: float = 0.05) -> None:
        self.history: list[Message] = []
        self.truncated: list[tuple[int, int]] = []
        self.lose_next: bool = False
        """The worker dies with the next generation."""
        self._script = script
        self.first_token = first_token
        self._provisional: set[int] = set()
        self._events: asyncio.Queue[MindEvent] = asyncio.Queue()
        self._running: dict[int, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def open(self, call_id: str, opening: Opening) -> AsyncIterator["StageMind"]:
        self.history = list(opening.history)
        try:
            yield self
        finally:
            for task in self._running.values():
                task.cancel()

    def append(self, message_id: int, role: Role, text: str, tool_call_id: str = "", provisional: bool = False) -> None:
        assert all(m.id != message_id for m in self.history)
        if role is Role.TOOL:
            assert any(call.id == tool_call_id for m in self.history for call in m.tool_calls), (
                "a result without a call"
            )
            assert not any(m.tool_call_id == tool_call_id for m in self.history), "a second result for one call"
        self.history.append(Message(message_id, role, text, tool_call_id=tool_call_id))
        if provisional:
            self._provisional.add(message_id)

    def commit(self, message_id: int) -> None:
        self._provisional.remove(message_id)

    def retract(self, message_id: int) -> None:
        assert message_id in self._provisional, "only what is provisional can be taken back"
        self._provisional.remove(message_id)
        index = next(i for i, m in enumerate(self.history) if m.id == message_id)
        for message in self.history[index:]:
            self._end(message.id)
        del self.history[index:]

    def generate(self, generation_id: int, sampling: object = None) -> None:
        for task in self._running.values():
            assert task.done(), "one generation at a time"
        replies = self._script(list(self.history))
        self.history.append(Message(generation_id, Role.ASSISTANT))
        self._running[generation_id] = asyncio.get_running_loop().create_task(self._generate(generation_id, replies))

    def stop(self, generation_id: int) -> None:
        self._end(generation_id)
        self._events.put_nowait(Done(generation_id, FinishReason.STOPPED))

    def truncate(self, generation_id: int, keep: int) -> None:
        self._end(generation_id)
        self.truncated.append((generation_id, keep))
        self._change(generation_id, lambda m: Message(m.id, m.role, m.text[:keep], m.tool_calls))
        self._events.put_nowait(Truncated(generation_id, ""))

    async def events(self) -> AsyncIterator[MindEvent]:
        while True:
            yield await self._events.get()

    @property
    def said(self) -> list[str]:
        """The model's texts, as they stand in the history."""
        return [m.text for m in self.history if m.role is Role.ASSISTANT and m.text]

    async def _generate(self, id: int, replies: Sequence[Reply]) -> None:
        await asyncio.sleep(self.first_token)
        if self.lose_next:
            self.lose_next = False
            self._events.put_nowait(GenerationLost(id, ""))
            return
        called = False
        for reply in replies:
            match reply:
                case str():
                    for word in reply.split(" "):
                        delta = word + " "
                        self._change(id, lambda m, d=delta: Message(m.id, m.role, m.text + d, m.tool_calls))  # type: ignore[misc]
                        self._events.put_nowait(TextDelta(id, delta))
                case ToolCall():
                    called = True
                    self._change(id, lambda m, c=reply: Message(m.id, m.role, m.text, (*m.tool_calls, c)))  # type: ignore[misc]
                    self._events.put_nowait(ToolCallAsked(id, reply))
                case _:
                    await asyncio.sleep(reply)
        self._events.put_nowait(Done(id, FinishReason.TOOL_CALLS if called else FinishReason.END))

    def _end(self, generation_id: int) -> None:
        if task := self._running.get(generation_id):
            task.cancel()
            self._running.pop(generation_id)

    def _change(self, id: int, change: Callable[[Message], Message]) -> None:
        self.history = [change(m) if m.id == id else m for m in self.history]


@dataclass
class StageVoice:
    """Speaks 15 characters a second, as a tone; pieces of 100 ms."""

    seconds: float = 0.05
    dead: bool = False
    opened: int = 0

    @asynccontextmanager
    async def open(
        self, call_id: str, voice: str = "", language: str = "", rate: int = RATE, **more: object
    ) -> AsyncIterator["StageMouth"]:
        self.opened += 1
        yield StageMouth(self, rate)


class StageMouth:
    """One utterance of StageVoice."""

    def __init__(self, voice: StageVoice, rate: int) -> None:
        self._voice = voice
        self._rate = rate
        self._phrases: asyncio.Queue[tuple[int, str] | None] = asyncio.Queue()

    def phrase(self, phrase_id: int, text: str) -> None:
        self._phrases.put_nowait((phrase_id, text))

    def flush(self) -> None:
        self._phrases.put_nowait(None)

    async def audio(self) -> AsyncIterator[SpeechAudio]:
        while (item := await self._phrases.get()) is not None:
            phrase_id, text = item
            await asyncio.sleep(self._voice.seconds)
            if self._voice.dead:
                raise Unavailable("no speech worker")
            sound = tone(len(text) / CHARACTERS_PER_SECOND, rate=self._rate)
            step = self._rate // 10
            pieces = [sound[i : i + step] for i in range(0, len(sound), step)]
            for number, piece in enumerate(pieces):
                start, end = len(text) * number // len(pieces), len(text) * (number + 1) // len(pieces)
                yield SpeechAudio(phrase_id, piece, start, end, number * step, number == len(pieces) - 1)
