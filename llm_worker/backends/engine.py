"""The backend that runs a model in this process and keeps its conversations in the cache."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from llm_worker.backends import Dialogue, Step, Usage
from llm_worker.engine.answer import Answer, draw
from llm_worker.engine.blocks import Blocks
from llm_worker.engine.desk import Desk, Drawing
from llm_worker.engine.runner import Runner
from llm_worker.engine.scheduler import Load, Urgency
from llm_worker.messages import Message, Prompt, Role, Sampling
from llm_worker.text.chat import ChatFormat
from llm_worker.text.grammar import Grammars
from llm_worker.text.reading import Reader
from llm_worker.text.tokenizer import Tokenizer
from services.errors import InvalidRequest, NotFound

_WARM_UP_TOKENS = 8


@dataclass(frozen=True)
class Plant:
    """What the engine is made of."""

    name: str
    """Of the model."""
    tokenizer: Tokenizer
    build: Callable[[], Runner]
    """Loads the model; called on the engine's thread. Its vocabulary is the tokenizer's."""
    blocks: Blocks
    """As many as the runner's pool has."""
    context_limit: int
    """Tokens of a prompt and its answer. No more than the blocks hold."""
    sampling: Sampling
    """Where a prompt says nothing."""
    load: Load | None = None
    choose: Drawing[Answer] = draw
    """Draws the next tokens."""


class Engine:
    """See `Backend`. Build it in the event loop."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.context_limit = min(plant.context_limit, plant.blocks.capacity * plant.blocks.size)
        self.format = ChatFormat(plant.tokenizer)
        self.grammars = Grammars(plant.tokenizer)
        self.desk: Desk[Answer] = Desk(plant.blocks, plant.choose, plant.load)

    @property
    def model(self) -> str:
        """The one there is."""
        return self.plant.name

    async def warm_up(self) -> None:
        """Load the model and have it say something, so that the first caller does not pay for first times."""
        await self.desk.start(self.plant.build)
        dialogue = self.open()
        message = Message(1, Role.USER, "Hello. I would like to make an appointment for Tuesday, please.")
        prompt = Prompt("", (message,), sampling=Sampling(max_tokens=_WARM_UP_TOKENS))
        try:
            await dialogue.prefill(prompt)
            async with aclosing(dialogue.generate(prompt)) as steps:
                async for _ in steps:
                    pass
        finally:
            dialogue.close()

    async def close(self) -> None:
        """End the thread."""
        await self.desk.close()

    def resolve(self, model: str) -> str:
        """There is one model."""
        if model not in ("", self.model):
            raise NotFound(f"model {model!r} is unknown here; there is {self.model!r}")
        return self.model

    def open(self) -> Dialogue:
        """A conversation; it holds nothing yet."""
        return _Dialogue(self)


class _Dialogue:
    """One conversation, from messages to tokens and back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seat = engine.desk.seat()
        self._opened = False

    async def prefill(self, prompt: Prompt) -> Usage:
        """See `Dialogue`. What can still change when the last message grows is left for later."""
        if prompt.tools and not self._opened:
            await asyncio.to_thread(self._engine.grammars.check, prompt.tools)  # compiled once for each set of tools
        rendered = self._engine.format.render(prompt)
        self._check("append" if self._opened else "open.history", len(rendered.ids))
        cached = 0
        if self._seat.answer is None:
            urgency = Urgency.SPEECH if self._opened else Urgency.OPENING
            cached = await self._seat.prefill(rendered.ids[: rendered.settled], urgency)
        self._opened = True
        return Usage(len(rendered.ids), cached)

    def follow(self, prompt: Prompt) -> None:
        """See `Dialogue`."""
        if self._seat.answer is None:
            rendered = self._engine.format.render(prompt)
            self._seat.follow(rendered.ids[: rendered.settled])

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """See `Dialogue`."""
        engine, tokenizer = self._engine, self._engine.plant.tokenizer
        sampling = engine.plant.sampling.overridden(prompt.sampling)
        ids = engine.format.render(prompt, answer=True).ids
        self._check("generate", len(ids) + 1)
        most = min(sampling.max_tokens or engine.context_limit, engine.context_limit - len(ids))
        rules = engine.grammars.grammar(prompt.tools, sampling.tool_choice)
        seed = secrets.randbits(64) if sampling.seed is None else sampling.seed
        answer = Answer(Reader(tokenizer, sampling.stop), rules, sampling, seed)
        async with aclosing(self._seat.generate(ids, answer, most)) as steps:
            async for step in steps:
                yield step

    def close(self) -> None:
        """See `Dialogue`."""
        self._seat.close()

    def _check(self, field: str, tokens: int) -> None:
        limit = self._engine.context_limit
        if tokens > limit:
            raise InvalidRequest(field, f"the context would be {tokens} tokens long, at most {limit} are taken")
