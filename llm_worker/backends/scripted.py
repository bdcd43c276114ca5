"""The scripted backend: the front desk's replies as a stream of words, at a settable speed."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from llm_worker.backends import Call, Delta, Finished, Reason, Stateless, Step, Usage
from llm_worker.backends.frontdesk.conversation import respond
from llm_worker.backends.frontdesk.practice import load
from llm_worker.backends.frontdesk.tasks import Desk
from llm_worker.messages import Prompt, ToolChoice
from llm_worker.metrics import CACHE_TOKENS
from services.errors import InvalidRequest, NotFound

MODEL = "front-desk"


class FrontDesk:
    """Answers as the front desk of the practice. A reply is computed in well under a millisecond per message."""

    model = MODEL
    context_limit = 0

    def __init__(self, delay_seconds: float = 0.0, words_per_second: float = 0.0) -> None:
        """`delay_seconds` before the first word and `words_per_second` (0: at once) imitate a model's speed."""
        self._delay = delay_seconds
        self._pause = 1 / words_per_second if words_per_second else 0.0
        self._practice = load()

    async def warm_up(self) -> None:
        """There is nothing to load."""
        CACHE_TOKENS.set(0)

    async def close(self) -> None:
        """There is nothing to free."""

    def resolve(self, model: str) -> str:
        """There is one model."""
        if model not in ("", MODEL):
            raise NotFound(f"model {model!r} is unknown here; the scripted backend has {MODEL!r}")
        return MODEL

    def open(self) -> Stateless:
        """Every prompt is answered by itself."""
        return Stateless(self)

    async def prefill(self, prompt: Prompt) -> Usage:
        """Nothing is computed ahead."""
        return Usage()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """The reply word by word, then its calls. Raises InvalidRequest when calls are required."""
        choice = prompt.sampling.tool_choice
        if choice is ToolChoice.REQUIRED:
            raise InvalidRequest("sampling.tool_choice", "the scripted backend decides itself when to call a tool")
        tools = {} if choice is ToolChoice.NONE else {tool.name: tool for tool in prompt.tools}
        reply = respond(Desk(self._practice, tools, _now(prompt.now)), prompt.messages)
        words, reason = _limited(reply.text, prompt.sampling.stop, prompt.sampling.max_tokens)
        if self._delay:
            await asyncio.sleep(self._delay)
        for index, word in enumerate(words):
            if index and self._pause:
                await asyncio.sleep(self._pause)
            yield Delta(word)
        if reason is None:
            for name, arguments in reply.calls:
                yield Call(name, json.dumps(arguments))
            reason = Reason.TOOL_CALLS if reply.calls else Reason.END
        yield Finished(reason, Usage(generated_tokens=len(words)))


def _limited(text: str, stops: tuple[str, ...], most: int | None) -> tuple[list[str], Reason | None]:
    """The words to send, each with the blank before it, and why they end early if they do."""
    cut = min((found for stop in stops if (found := text.find(stop)) >= 0), default=len(text))
    words = re.findall(r"\s*\S+", text[:cut])
    if most is not None and len(words) > most:
        return words[:most], Reason.LENGTH
    return words, Reason.END if cut < len(text) else None


def _now(text: str) -> datetime:
    """Local time of the call, without its offset: days and opening hours are local."""
    if not text:
        return datetime.now(UTC).astimezone().replace(tzinfo=None)
    return datetime.fromisoformat(text).replace(tzinfo=None)
