"""Settings of the language model worker."""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from llm_worker.checks import Limits
from services.settings import ServiceSettings


def _json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


class LlmSettings(ServiceSettings):
    """`TRUNKLINE_LLM_…` variables."""

    prefix: ClassVar[str] = "TRUNKLINE_LLM_"

    backend: Literal["scripted", "engine", "openai"] = Field(
        "scripted",
        description="scripted: a rule-based front desk, needs nothing. engine: a model in this process. "
        "openai: any OpenAI-compatible server.",
    )
    max_conversations: int = Field(
        200, ge=1, description="Conversations open at once; more are answered RESOURCE_EXHAUSTED."
    )
    max_messages: int = Field(1000, ge=1, description="Longest history, in messages.")
    max_message_characters: int = Field(32_000, ge=1, description="Longest message.")
    max_history_characters: int = Field(400_000, ge=1, description="Longest history, all messages together.")
    max_tools: int = Field(64, ge=0, description="Most tools in a conversation.")
    max_tool_characters: int = Field(64_000, ge=1, description="All tools together: descriptions and schemas.")
    open_seconds: float = Field(10.0, gt=0, description="A stream that has not sent `open` after this long is ended.")
    idle_seconds: float = Field(900.0, gt=0, description="A conversation without operations for this long is ended.")

    folder: str = Field("", description="engine: folder of the model: params.json, weights, tekken.json.")
    device: str = Field("auto", description="engine: cpu, cuda, …; auto takes a GPU where there is one.")
    threads: int = Field(1, ge=1, description="engine: processor threads of the model.")
    cache_tokens: int = Field(65_536, ge=64, description="engine: room for conversations, in tokens.")
    rows: int = Field(64, ge=1, description="engine: answers that are computed at a time; more take turns.")

    url: str = Field("http://127.0.0.1:8000/v1", description="openai: address of the server, with its /v1.")
    api_key: SecretStr = Field(SecretStr(""), description="openai: key for the server; empty where it wants none.")
    model: str = Field("", description="openai: name of the model; empty takes the first that the server lists.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="openai, engine: where the client says none; the engine's default is 0."
    )
    max_tokens: int = Field(600, ge=1, description="openai, engine: longest answer where the client says none.")
    extra_body: Annotated[dict[str, Any], BeforeValidator(_json)] = Field(
        {}, description='openai: JSON merged into each request, e.g. {"reasoning_effort": "none"}.'
    )
    context_limit: int = Field(
        0, ge=0, description="openai, engine: longest context in tokens; 0: not known, the model's own."
    )
    connect_seconds: float = Field(2.0, gt=0, description="openai: time to connect.")
    first_token_seconds: float = Field(8.0, gt=0, description="openai: time from request to the first piece of answer.")
    total_seconds: float = Field(60.0, gt=0, description="openai: time for a whole answer.")
    warm_up_seconds: float = Field(30.0, gt=0, description="openai: how long to wait at start for the server.")

    scripted_delay_seconds: float = Field(0.0, ge=0, le=60, description="scripted: simulated time to the first word.")
    scripted_words_per_second: float = Field(
        0.0, ge=0, description="scripted: simulated speed of the answer; 0 is at once."
    )

    @model_validator(mode="after")
    def _order_of_times(self) -> "LlmSettings":
        if self.first_token_seconds > self.total_seconds:
            raise ValueError("FIRST_TOKEN_SECONDS must not exceed TOTAL_SECONDS")
        return self

    @model_validator(mode="after")
    def _engine_has_a_folder(self) -> "LlmSettings":
        if self.backend == "engine" and not self.folder:
            raise ValueError("FOLDER must name the folder of a model when BACKEND is engine")
        return self

    @property
    def limits(self) -> Limits:
        """Largest conversation that is taken."""
        return Limits(
            messages=self.max_messages,
            message_characters=self.max_message_characters,
            history_characters=self.max_history_characters,
            tools=self.max_tools,
            tool_characters=self.max_tool_characters,
        )
