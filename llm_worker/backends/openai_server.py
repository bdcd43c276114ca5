"""The backend that asks any OpenAI-compatible server (vLLM, SGLang, llama.cpp, a cloud)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from openai import AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk

from llm_worker.backends import Stateless, Step, Usage
from llm_worker.backends.openai_answer import Assembly, MalformedCall
from llm_worker.backends.openai_errors import KeyRefused, translated
from llm_worker.backends.openai_request import arguments
from llm_worker.config import LlmSettings
from llm_worker.messages import Prompt
from llm_worker.metrics import CACHE_TOKENS
from services.errors import InternalError, NotFound, Unavailable
from services.telemetry import Plain

log = logging.getLogger(__name__)
USAGE_SECONDS = 0.5
"""How long the counts of tokens, which come after the answer, are waited for."""


class OpenAIServer:
    """Streams answers of one server. The cache is the server's; nothing is prefilled from here."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._models: tuple[str, ...] = (settings.model,) if settings.model else ()
        key = settings.api_key.get_secret_value()
        self._client = AsyncOpenAI(
            base_url=settings.url,
            api_key=key or "none",
            max_retries=0,  # a caller waits: the agent decides what to do next
            timeout=Timeout(settings.total_seconds, connect=settings.connect_seconds),
        )

    @property
    def model(self) -> str:
        """The configured model, else the first that the server listed."""
        return self._models[0] if self._models else ""

    @property
    def context_limit(self) -> int:
        """As configured; the protocol does not say."""
        return self._settings.context_limit

    async def warm_up(self) -> None:
        """Wait until the server answers and has the model. Raises Unavailable, NotFound."""
        CACHE_TOKENS.set(0)
        listed = await self._reach()
        configured = self._settings.model
        if configured and listed and configured not in listed:
            raise NotFound(f"TRUNKLINE_LLM_MODEL={configured}: {self._settings.url} has only {', '.join(listed[:10])}")
        if not configured and not listed:
            raise NotFound(f"{self._settings.url} does not list its models: set TRUNKLINE_LLM_MODEL")
        self._models = (configured, *listed) if configured else listed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def resolve(self, model: str) -> str:
        """Any model that the server has listed."""
        if model and model not in self._models:
            raise NotFound(f"model {model!r} is unknown here; there is {', '.join(self._models[:10])}")
        return model or self.model

    def open(self) -> Stateless:
        """Every prompt is answered by itself."""
        return Stateless(self)

    async def prefill(self, prompt: Prompt) -> Usage:
        """The protocol has no such thing."""
        return Usage()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Step, None]:
        """The answer. A call that cannot be read is asked for once more; its text is not said twice."""
        request = arguments(prompt, self.resolve(prompt.model), self._settings.temperature, self._settings.max_tokens)
        tools = frozenset(tool.name for tool in prompt.tools)
        try:
            async with aclosing(self._answer(request, tools, speak=True)) as steps:
                async for step in steps:
                    yield step
        except MalformedCall as error:
            log.warning("asking again: %s", error)
        else:
            return
        async with aclosing(self._answer(request, tools, speak=False)) as steps:
            async for step in steps:
                yield step

    async def _answer(self, request: dict[str, Any], tools: frozenset[str], speak: bool) -> AsyncGenerator[Step, None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        latest = began + self._settings.total_seconds
        due = min(began + self._settings.first_token_seconds, latest)
        assembly = Assembly(tools)
        with translated(self._settings.url):
            async with self._stream(request, due) as chunks:
                while not assembly.complete:
                    if assembly.finish_reason:
                        due = min(latest, loop.time() + USAGE_SECONDS)
                    chunk = await self._next(chunks, due, assembly)
                    if chunk is None:
                        break
                    text = assembly.feed(chunk)
                    if chunk.choices:
                        due = latest
                    if text is not None and speak:
                        yield text
        if not assembly.finish_reason:
            raise Unavailable(f"{self._settings.url} broke off in the middle of an answer")
        for step in assembly.end():
            yield step

    @asynccontextmanager
    async def _stream(self, request: dict[str, Any], due: float) -> AsyncIterator[AsyncStream[ChatCompletionChunk]]:
        """The open HTTP stream; leaving closes it, also when the answer was cancelled."""
        extra = {**self._settings.extra_body, **request.get("extra_body", {})}
        try:
            async with asyncio.timeout_at(due):
                stream: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                    **{**request, "extra_body": extra or None},
                    stream=True,
                    stream_options={"include_usage": True},
                )
        except TimeoutError:
            raise Unavailable(f"{self._settings.url} has not begun to answer in time") from None
        try:
            yield stream
        finally:
            await stream.close()

    async def _next(
        self, chunks: AsyncStream[ChatCompletionChunk], due: float, assembly: Assembly
    ) -> ChatCompletionChunk | None:
        """The next chunk; None at the end, or when only the counts are missing and do not come."""
        try:
            async with asyncio.timeout_at(due):
                return await anext(chunks)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            if assembly.finish_reason:
                return None
            raise Unavailable(f"{self._settings.url} is too slow: the answer was not there in time") from None

    async def _reach(self) -> tuple[str, ...]:
        """Names of the server's models, empty where it does not list them, once it answers. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + self._settings.warm_up_seconds
        told = False
        while True:
            try:
                with translated(self._settings.url):
                    return tuple([model.id async for model in self._client.models.list()])
            except KeyRefused:
                raise
            except Unavailable as error:
                if loop.time() >= latest:
                    raise Unavailable(f"{error}. Start the server, or set TRUNKLINE_LLM_URL") from error
                if not told:
                    url = self._settings.url if "@" in self._settings.url else Plain(self._settings.url)  # a password?
                    log.info("waiting for the server", extra={"url": url, "problem": str(error)})
                    told = True
            except (NotFound, InternalError):
                return ()  # it answers, but has no such page
            await asyncio.sleep(0.5)
