"""One answer: words from the language model, tools on the way, phrases to the voice, sound to the playout.

It runs on speculation from the first short pause of the caller. What cannot be taken back waits for `confirmed`.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from agent.clients import Mind, Mouth, TextToSpeech
from agent.clients.types import Done, GenerationLost, MindEvent, TextDelta, ToolCall, ToolCallAsked, Word
from agent.definition import AgentDefinition
from agent.dialogue import Ids
from agent.draft import Draft
from agent.marks import Mark
from agent.phrases import Phrase, Phraser
from agent.playout import OWN_TEXT
from agent.readymade import as_speech
from agent.speaker import Utterance
from agent.tooling import Tooling
from agent.tools.results import EndCall
from services.errors import Unavailable

log = logging.getLogger(__name__)

_WAITING_PHRASE_AFTER = 0.7
"""Seconds of silence, once the turn is over, before the waiting phrase of a slow tool is said."""
_MOST_ROUNDS = 8
"""Tool rounds in one answer; a model that asks for more is in a loop."""


@dataclass(slots=True)
class Generation:
    """One pass of the model."""

    id: int
    events: asyncio.Queue[MindEvent] = field(default_factory=asyncio.Queue)
    """Filled by the call as events come; bounded by the longest answer."""
    text: str = ""
    running: bool = True


class _Lost(Unavailable):
    """The language model's worker died; `reachable`: there is another one."""

    def __init__(self, reachable: bool) -> None:
        super().__init__("the language model was lost")
        self.reachable = reachable


class Answer:
    """Answers what the caller said. Owned by one task, `run`, and told by the call that it is confirmed."""

    def __init__(
        self,
        definition: AgentDefinition,
        mind: Mind,
        voice: TextToSpeech,
        tooling: Tooling,
        utterance: Utterance,
        draft: Draft,
        new_id: Ids,
        text: str,
        message: int | None = None,
    ) -> None:
        """`message`: the question already stands in the history, provisional; else it is put there."""
        self.text = text
        self.utterance = utterance
        self.marks: dict[Mark, float] = {}
        self.generations: list[Generation] = []
        self.message = message
        """The question in the history; None before it stands there."""
        self.committed = False
        """It can no longer be taken back."""
        self.confirmed = asyncio.Event()
        """The caller has finished: the answer may be heard, and tools may write."""
        self.words: tuple[Word, ...] = ()
        """Of the question, with times; known once it is confirmed."""
        self.hang_up = False
        """The model asked for the end of the call."""
        self._definition = definition
        self._mind = mind
        self._voice = voice
        self._tooling = tooling
        self._draft = draft
        self._new_id = new_id
        self._calls: list[ToolCall] = []
        self._mouth: Mouth | None = None
        self._caught_up = asyncio.Event()  # all phrases so far have their sound
        self._caught_up.set()
        self._phrases: list[tuple[int, Phrase]] = []  # by phrase id: which text it is a slice of, and where
        self._loop = asyncio.get_running_loop()

    def commit(self) -> None:
        """From here on the question is part of the history: a word of the answer is heard, or something was done."""
        if not self.committed and self.message is not None:
            self.committed = True
            self._mind.commit(self.message)

    def say(self, text: str) -> None:
        """Say a fixed text after what has been said so far; it is not part of the answer."""
        if text:
            self._hand(OWN_TEXT, [Phrase(text, 0, len(text))])

    async def said(self) -> None:
        """Return once all text so far has been spoken and handed to the leg."""
        await self._caught_up.wait()
        playout = self.utterance.playout
        while waiting := playout.waiting:  # noqa: ASYNC110 - time is what is waited for, and a pause prolongs it
            await asyncio.sleep(waiting / playout.rate + 0.02)

    def receive(self, event: MindEvent, generation_id: int) -> bool:
        """Take an event, if it is of one of this answer's generations."""
        for generation in self.generations:
            if generation.id == generation_id:
                generation.events.put_nowait(event)
                return True
        return False

    async def run(self) -> None:
        """Until all sound of the answer has been pushed. Raises ServiceError when a worker cannot be had."""
        await self._tooling.settled()
        if self.message is None:
            self.message = self._draft.settle(self.text)
        definition = self._definition
        async with (
            self._voice.open(
                self._tooling.call_id, definition.voice, definition.language, self.utterance.playout.rate
            ) as mouth,
            asyncio.TaskGroup() as group,
        ):
            self._mouth = mouth
            sound = group.create_task(self._sound(mouth))
            try:
                await self._words()
            except asyncio.CancelledError:
                self._refuse_rest()
                raise
            mouth.flush()
            await sound
        self.utterance.playout.finished = True

    # -- words -------------------------------------------------------------------------------------------------------

    async def _words(self) -> None:
        for _ in range(_MOST_ROUNDS):
            calls = await self._generate()
            if not calls:
                return
            silent = Mark.FIRST_PHRASE not in self.marks
            if silent:  # the caller waits for the tool; once something was said, its time is no part of the latency
                self._mark(Mark.TOOL_REQUESTED)
            if not await self._act(calls):
                return
            if silent:
                self.marks.pop(Mark.FIRST_TOKEN, None)
                self.marks[Mark.TOOL_FINISHED] = self._loop.time()
        log.warning("the model keeps asking for tools; the answer ends here")

    async def _generate(self) -> list[ToolCall]:
        """One pass of the model; its text goes to the voice. Tried again when the worker is lost before any text."""
        for _ in range(2):
            generation = Generation(self._new_id())
            self.generations.append(generation)
            self._mind.generate(generation.id)
            try:
                return await self._follow(generation)
            except _Lost as lost:
                if generation.text or not lost.reachable:
                    raise
        raise Unavailable("the language model was lost twice in one answer")

    async def _follow(self, generation: Generation) -> list[ToolCall]:
        phraser = Phraser()
        calls: list[ToolCall] = []
        limit = self._definition.limits.answer_characters
        while generation.running:
            match await generation.events.get():
                case TextDelta(_, text):
                    self._mark(Mark.FIRST_TOKEN)
                    generation.text += text
                    self.utterance.texts[generation.id] = generation.text
                    self._hand(generation.id, phraser.feed(text))
                    if len(generation.text) > limit:
                        self._mind.stop(generation.id)
                        limit = 1 << 30
                case ToolCallAsked(_, call):
                    calls.append(call)
                    self._calls.append(call)
                case Done():
                    generation.running = False
                case GenerationLost(_, _, _, reachable):
                    generation.running = False
                    raise _Lost(reachable)
                case _:
                    pass
        self._hand(generation.id, phraser.flush())
        return calls

    def _hand(self, source: int, phrases: list[Phrase]) -> None:
        for phrase in phrases:
            if source != OWN_TEXT:
                self._mark(Mark.FIRST_PHRASE)
            if self._mouth is not None:
                self._caught_up.clear()
                self._mouth.phrase(len(self._phrases), phrase.text)
                self._phrases.append((source, phrase))

    # -- tools -------------------------------------------------------------------------------------------------------

    async def _act(self, calls: list[ToolCall]) -> bool:
        """Run what the model asked for. Whether it is to speak again: not after the end of the call was asked for
        and something was said."""
        speak = True
        for call in calls:
            work = asyncio.ensure_future(self._tooling.run(call, self))
            waiting = asyncio.ensure_future(self._say_waiting(call.name))
            try:
                action = await work
            finally:
                waiting.cancel()
                work.cancel()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # 3.11's `wait_for`, inside a library too, loses a cancellation that comes as its own work ends: a
                # transfer that succeeds ends the call in the same moment.
                raise asyncio.CancelledError
            if isinstance(action, EndCall):
                self.hang_up = True
                speak = not any(generation.text.strip() for generation in self.generations)
        return speak

    def _refuse_rest(self) -> None:
        """Every call that the model made gets a result, also when its answer is cut."""
        if not self.committed:
            return  # the question is taken back, and with it the calls
        for generation in self.generations:
            while not generation.events.empty():
                if isinstance(event := generation.events.get_nowait(), ToolCallAsked):
                    self._calls.append(event.call)
        for call in self._calls:
            self._tooling.refuse(call)

    async def _say_waiting(self, tool: str) -> None:
        phrase = self._tooling.waiting_phrase(tool)
        await self.confirmed.wait()
        await asyncio.sleep(_WAITING_PHRASE_AFTER)
        if self.utterance.playout.waiting == 0:
            self.say(phrase)

    # -- sound -------------------------------------------------------------------------------------------------------

    async def _sound(self, mouth: Mouth) -> None:
        async for audio in mouth.audio():
            source, phrase = self._phrases[audio.phrase_id]
            if source != OWN_TEXT:
                self._mark(Mark.FIRST_AUDIO)
            self.utterance.playout.push(as_speech(audio, source, phrase.start))
            if audio.last_of_phrase and audio.phrase_id == len(self._phrases) - 1:
                self._caught_up.set()

    def _mark(self, mark: Mark) -> None:
        self.marks.setdefault(mark, self._loop.time())
