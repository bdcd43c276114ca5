"""The vocabulary of turn taking: events that `turns` is told, actions that it asks for. Times are the loop's clock."""

from dataclasses import dataclass

# -- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerStarted:
    """Voice from `at` on; `position` is its first sample."""

    at: float
    position: int


@dataclass(frozen=True, slots=True)
class CallerStopped:
    """A pause; the last voiced sample came at `at`."""

    at: float
    position: int


@dataclass(frozen=True, slots=True)
class CallerBargesIn:
    """Speech over the agent that is no echo, no background and, by its sound, no backchannel."""

    at: float
    position: int


@dataclass(frozen=True, slots=True)
class Partial:
    """Words so far of what the caller is saying."""

    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """The recogniser's answer to `AskTranscript(request)`."""

    request: int
    text: str


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The turn model's answer to `AskTurnModel(request)`: probability that the caller has finished."""

    request: int
    probability: float


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The first frame of something the agent says was sent."""


@dataclass(frozen=True, slots=True)
class AgentEnded:
    """Everything the agent had to say was sent, or it failed."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The call was on hold and is not any more: silence counts from now."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    CallerStarted
    | CallerStopped
    | CallerBargesIn
    | Partial
    | Heard
    | Likelihood
    | AgentStarted
    | AgentEnded
    | TakenBack
    | Tick
)


# -- actions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listen:
    """Send the recogniser what the caller says, from this sample on."""

    position: int


@dataclass(frozen=True, slots=True)
class AskTranscript:
    """Speculative, or final: then the audio is done with. The answer to a final request changes nothing here."""

    request: int
    final: bool


@dataclass(frozen=True, slots=True)
class AskTurnModel:
    """Judge the sound up to now."""

    request: int


@dataclass(frozen=True, slots=True)
class BeginAnswer:
    """Work out an answer to `text`, silently: the caller may go on."""

    text: str


@dataclass(frozen=True, slots=True)
class RetractAnswer:
    """The caller goes on: forget the answer and its question."""


@dataclass(frozen=True, slots=True)
class ConfirmAnswer:
    """The turn is over: speak the answer."""

    stopped: float
    """When the caller's last voiced sample came."""
    over: float
    """When the silence had lasted long enough, by the words and the sound. Later than this it was only the transcript
    that was waited for."""


@dataclass(frozen=True, slots=True)
class PausePlayout:
    """Fall silent at once, and be ready to go on."""


@dataclass(frozen=True, slots=True)
class ResumePlayout:
    """It was nothing: go on from the start of the last word."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The caller takes the floor: end the answer where it is."""


@dataclass(frozen=True, slots=True)
class Apologise:
    """The recogniser is late: say so while it is waited for."""


@dataclass(frozen=True, slots=True)
class PromptSilence:
    """Nobody has said anything for long; `count` is 1 for the first prompt in a row."""

    count: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Prompts did not help: say goodbye and end the call."""


Action = (
    Listen
    | AskTranscript
    | AskTurnModel
    | BeginAnswer
    | RetractAnswer
    | ConfirmAnswer
    | PausePlayout
    | ResumePlayout
    | Interrupt
    | Apologise
    | PromptSilence
    | GiveUp
)
