"""What the rest of the agent says to the three workers and hears from them: plain values, no protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.audio import Samples

# --- speech to text ---------------------------------------------------------------------------------------------


class TranscriptKind(StrEnum):
    """What a transcript is asked for."""

    SPECULATIVE = "speculative"
    """A guess that the caller has finished; changes nothing."""
    FINAL = "final"
    """The turn is over; audio before it is forgotten."""


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word."""

    text: str
    first: int
    """Position of its first sample since the call connected."""
    end: int
    confidence: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What has been understood so far, unasked."""

    stable: str
    """Only grows until the next final transcript."""
    rest: str
    """May still change."""
    through: int
    """Covers the audio up to this position."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The answer to `transcribe`."""

    request_id: int
    kind: TranscriptKind
    text: str
    """Empty when no speech was found."""
    words: tuple[Word, ...]
    through: int
    superseded: bool = False
    """A later request replaced it before it was started; there is no text."""
    queue_seconds: float = 0.0
    decode_seconds: float = 0.0
    no_speech_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class EarLost:
    """No recogniser has been reachable for a second. Attempts go on; audio and questions are kept."""

    detail: str


@dataclass(frozen=True, slots=True)
class EarBack:
    """After EarLost: a recogniser is there again and has been given everything it missed."""


EarEvent = Partial | Transcript | EarLost | EarBack

# --- language model ---------------------------------------------------------------------------------------------


class Role(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolChoice(StrEnum):
    """Whether the model may call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


class FinishReason(StrEnum):
    """Why a generation ended."""

    END = "end"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a function to be run; only the agent acts."""

    id: str
    """Unique in the conversation; given by the worker."""
    name: str
    arguments_json: str
    """A JSON object, not yet checked against the tool's schema."""
    token_ids: tuple[int, ...] = ()
    """What the model generated for it, where it is known."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history."""

    id: int
    """Unique in the conversation; generations take theirs from the same space."""
    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """ASSISTANT: made in this message."""
    tool_call_id: str = ""
    """TOOL: the call that this is the result of; `text` holds the result as JSON."""
    token_ids: tuple[int, ...] = ()
    """ASSISTANT: what the model generated, where it is known."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for."""

    name: str
    description: str
    parameters: Mapping[str, object]
    """JSON Schema of the arguments: an object."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens; None leaves it to the worker."""

    temperature: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    tool_choice: ToolChoice = ToolChoice.AUTO


@dataclass(frozen=True, slots=True)
class Opening:
    """What a conversation starts from."""

    history: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    language: str = ""
    """BCP 47."""
    now: str = ""
    """RFC 3339 with offset, for models that reason about dates."""
    model: str = ""
    """Empty: the worker's default."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    generation_id: int
    text: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallAsked:
    """The result goes back by `append` with Role.TOOL, then `generate` with a new id. May still come after `stop` or
    `truncate`: the call stands in the history and wants a result, if only that it was not done."""

    generation_id: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a generation, unless GenerationLost was."""

    generation_id: int
    reason: FinishReason
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Prefilled:
    """A message that was appended is in the worker's cache."""

    message_id: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer to `truncate`: what stands in the history now."""

    generation_id: int
    kept_text: str


@dataclass(frozen=True, slots=True)
class GenerationLost:
    """The worker died, or none could be reached, while this generation was running or waiting to run. It will not go
    on; the conversation does. `text` and the tool calls asked so far stay in the history, as after `stop`: cut them to
    what was heard with `truncate`, then `generate` with a new id, or say something else."""

    generation_id: int
    text: str
    calls: tuple[ToolCall, ...] = ()
    reachable: bool = True
    """False: another worker could not be reached for a second; attempts go on."""


@dataclass(frozen=True, slots=True)
class MindLost:
    """No worker has been reachable for a second and nothing was being generated. Attempts go on."""

    detail: str


MindEvent = TextDelta | ToolCallAsked | Done | Prefilled | Truncated | GenerationLost | MindLost

# --- text to speech ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """80 to 200 ms of sound of one phrase; sounds of a phrase follow each other without gaps."""

    phrase_id: int
    samples: Samples
    span_start: int
    """Half-open range of code points of the phrase's text that this sound says."""
    span_end: int
    first_sample: int
    """Index within the phrase."""
    last_of_phrase: bool


@dataclass(frozen=True, slots=True)
class Voice:
    """What a speech worker offers."""

    name: str
    languages: tuple[str, ...]
    description: str
