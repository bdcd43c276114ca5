"""A stage for whole calls in virtual time: scripted workers, a caller in memory, a record in lists."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from agent.assembly import hear
from agent.audio import Samples, level_dbfs, silence
from agent.call import Call, Parts
from agent.definition import AgentDefinition
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped
from agent.readymade import ReadyMade
from agent.store import TurnRow
from agent.telephony.leg import CallInfo, EndReason
from agent.telephony.memory import MemoryLeg
from agent.telephony.pump import Pump
from agent.tools.results import Action, ToolContext, ToolResult, ToolSpec
from tests.stage_workers import RATE, Script, StageMind, StageRecogniser, StageVoice, tone


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

    probability: float = 0.98
    seconds: float = 0.05

    async def complete(self, samples: Samples, rate: int) -> float:
        await asyncio.sleep(self.seconds)
        return self.probability


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
