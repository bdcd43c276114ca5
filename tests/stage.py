"""A stage for whole calls in virtual time: scripted workers, a caller in memory, a record in lists."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from agent.assembly import hear
from agent.audio import Samples, level_dbfs, silence
from agent.call import Call, Parts
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
from agent.definition import AgentDefinition
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped
from agent.readymade import ReadyMade
from agent.store import TurnRow
from agent.telephony.leg import CallInfo, EndReason
from agent.telephony.memory import MemoryLeg
from agent.telephony.pump import Pump
from agent.tools.results import Action, ToolContext, ToolResult, ToolSpec
from services.errors import Unavailable

RATE = 8000
CHARACTERS_PER_SECOND = 15.0


def tone(seconds: float, level: float = -20.0, rate: int = RATE) -> Samples:
    """A voice, as far as the scripted ear is concerned."""
    count = round(seconds * rate)
    amplitude = 32768 * 10 ** (level / 20) * np.sqrt(2)
    return (amplitude * np.sin(2 * np.pi * 300 * np.arange(count) / rate)).astype(np.int16)


class StageEar:
    """Hears voice by level alone; what is loud for 0.25 s over the agent is a barge-in."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.position = 0
        self._sound = silence(0)
        self._events: list[ListeningEvent] = []
        self._voiced_from: int | None = None
        self._voiced_to = 0
        self._started = self._barged = self._agent = False

    def push(self, samples: Samples) -> None:
        self._sound = np.concatenate([self._sound[-8 * self.rate :], samples])
        self.position += len(samples)
        if level_dbfs(samples) > -45:
            if self._voiced_from is None:
                self._voiced_from, self._barged = self.position - len(samples), False
            self._voiced_to = self.position
        if self._voiced_from is None:
            return
        if not self._started and self._voiced_to - self._voiced_from >= 0.1 * self.rate:
            self._started = True
            self._events.append(SpeechStarted(self._voiced_from))
        if self._agent and not self._barged and self._voiced_to - self._voiced_from >= 0.25 * self.rate:
            self._barged = True
            self._events.append(BargeIn(self._voiced_from))
        if self.position - self._voiced_to >= 0.1 * self.rate:
            if self._started:
                self._events.append(SpeechStopped(self._voiced_to))
            self._voiced_from, self._started = None, False

    def agent_speaking(self, reference: Samples | None) -> None:
        self._agent = reference is not None

    def events(self) -> list[ListeningEvent]:
        events, self._events = self._events, []
        return events

    def recent(self, seconds: float = 8) -> Samples:
        return self._sound[-round(seconds * self.rate) :] if seconds > 0 else silence(0)


class StageListening:
    """The pool of scripted ears."""

    def open(self, rate: int) -> StageEar:
        return StageEar(rate)

    def close(self, ear: StageEar) -> None: ...

    def process(self) -> None: ...


@dataclass
class StageTurnModel:
    """Says what the script says, after a while."""

    probability: float = 0.95
    seconds: float = 0.05

    async def complete(self, samples: Samples, rate: int) -> float:
        await asyncio.sleep(self.seconds)
        return self.probability


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


@dataclass
class StageRecord:
    """Keeps what would be written."""

    turns: list[TurnRow] = field(default_factory=list)
    events: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    keys: str = ""
    end: str = ""

    def connected(self, codec: str, rate: int) -> None: ...

    def turn(self, row: TurnRow) -> None:
        self.turns.append(row)

    def event(self, kind: str, at: float, **data: Any) -> None:
        json.dumps(data)
        self.events.append((kind, at, data))

    def digits(self, at: float, keys: str, masked: bool = False) -> None:
        self.keys += "*" * len(keys) if masked else keys

    def ended(self, reason: str, detail: str = "", summary: Mapping[str, float] | None = None) -> None:
        self.end = reason

    def recorder(self, rate: int) -> Any:
        raise AssertionError("nothing is recorded on this stage")

    def begin(self, info: CallInfo, agent: str) -> "StageRecord":
        """The store's method: one call, one record."""
        return self


@dataclass
class StageTools:
    """Tools by name: an effect, and a function from arguments to result."""

    tools: Mapping[str, tuple[str, Callable[[dict[str, Any]], Awaitable[tuple[dict[str, Any], Action | None]]]]]
    waiting_phrase: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """(tool, tool call id) in the order in which they were begun."""

    @property
    def specs(self) -> list[ToolSpec]:
        return [
            ToolSpec(name, name, '{"type": "object"}', cast(Any, effect), self.waiting_phrase)
            for name, (effect, _) in self.tools.items()
        ]

    def spec(self, name: str) -> ToolSpec | None:
        return next((spec for spec in self.specs if spec.name == name), None)

    async def call(self, name: str, arguments_json: str, context: ToolContext) -> ToolResult:
        self.calls.append((name, context.tool_call_id))
        content, action = await self.tools[name][1](json.loads(arguments_json))
        return ToolResult(json.dumps(content), action)


class Stage:
    """A call under way, and the caller on it."""

    def __init__(
        self,
        script: Script,
        heard: Sequence[str] = (),
        definition: Mapping[str, Any] | None = None,
        tools: StageTools | None = None,
        first_token: float = 0.05,
    ) -> None:
        self.leg = MemoryLeg(rate=RATE)
        self.recogniser = StageRecogniser(list(heard))
        self.mind = StageMind(script, first_token)
        self.voice = StageVoice()
        self.turn_model = StageTurnModel()
        self.record = StageRecord()
        self.tools = tools or StageTools({})
        self.definition = AgentDefinition.model_validate(
            {"name": "stage", "prompt": "Be kind.", "greeting": "Hello, how can I help you?", **(definition or {})}
        )
        self._listening = StageListening()
        self._tasks: list[asyncio.Task[None]] = []
        self.call: Call

    async def __aenter__(self) -> "Stage":
        pump = Pump(lambda arrived: hear(cast(Any, self._listening), arrived))
        ready_made = ReadyMade(cast(Any, self.voice))
        await ready_made.prepare(self.definition)
        parts = Parts(
            pump=pump,
            listening=cast(Any, self._listening),
            turn_model=cast(Any, self.turn_model),
            stt=cast(Any, self.recogniser),
            llm=cast(Any, self.mind),
            tts=cast(Any, self.voice),
            ready_made=ready_made,
            store=cast(Any, self.record),
        )
        self.call = Call(self.leg, self.definition, cast(Any, self.tools), parts)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(pump.run()), loop.create_task(self.call.run())]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.leg.far.end(EndReason.CALLER_HUNG_UP)
        pump, call = self._tasks
        try:
            await call
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def say(self, seconds: float = 1.0) -> float:
        """The caller speaks; returns when the last sample was spoken."""
        await self.leg.far.speak_paced(tone(seconds))
        return self.now

    async def until(self, condition: Callable[[], object], limit: float = 30.0) -> float:
        """Wait until something is so; fails after `limit` seconds."""
        async with asyncio.timeout(limit):
            while not condition():  # noqa: ASYNC110 - virtual time, any condition
                await asyncio.sleep(0.01)
        return self.now

    async def quiet(self, seconds: float = 0.3) -> float:
        """Wait until the agent has said nothing for a while; returns when its last frame left."""
        await self.until(lambda: self.now - self.last_sound >= seconds)
        return self.last_sound

    @property
    def last_sound(self) -> float:
        """When the agent's newest audible frame left."""
        self.leg.buffered()
        return next((h.time for h in reversed(self.leg.far.heard) if level_dbfs(h.samples) > -50), 0.0)

    def speaking(self) -> bool:
        """Whether the agent is heard right now."""
        return self.now - self.last_sound < 0.05
