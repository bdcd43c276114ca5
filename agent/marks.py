"""The clock of a turn: marks in, stages out. The stages of a turn add up to its latency, exactly."""

from collections.abc import Mapping
from enum import StrEnum


class Mark(StrEnum):
    """Moments of a turn, in the order in which they bound stages. Seconds of the event loop's clock."""

    CALLER_STOPPED = "caller_stopped"
    """Arrival of the caller's last voiced sample."""
    END_OF_TURN = "end_of_turn"
    """The silence had lasted long enough for what was said and how it sounded."""
    TRANSCRIPT_FINAL = "transcript_final"
    """The text of the turn was complete."""
    TOOL_REQUESTED = "tool_requested"
    """The model asked for a tool; only in turns with tools."""
    TOOL_FINISHED = "tool_finished"
    """The last result went back to the model."""
    FIRST_TOKEN = "first_token"
    """First text of the answer (in turns with tools: of what follows the last result)."""
    FIRST_PHRASE = "first_phrase"
    """First phrase of the answer handed to text-to-speech."""
    FIRST_AUDIO = "first_audio"
    """First audio of the answer back from text-to-speech."""
    AGENT_STARTED = "agent_started"
    """Departure of the first audible sample of the answer."""


# The stage that ends with each mark.
STAGES: Mapping[Mark, str] = {
    Mark.END_OF_TURN: "end_of_turn",
    Mark.TRANSCRIPT_FINAL: "transcript",
    Mark.TOOL_REQUESTED: "language_model",
    Mark.TOOL_FINISHED: "tool",
    Mark.FIRST_TOKEN: "language_model",
    Mark.FIRST_PHRASE: "phrase",
    Mark.FIRST_AUDIO: "speech",
    Mark.AGENT_STARTED: "playout",
}


def stages(marks: Mapping[Mark, float]) -> dict[str, float]:
    """Seconds per stage. Work done ahead of the end of the turn shows as zero, because each stage begins where the
    latest earlier mark lies (running maximum). Marks that a turn lacks have no stage of their own: their time is in
    the next one. {} unless both ends are known."""
    if Mark.CALLER_STOPPED not in marks or Mark.AGENT_STARTED not in marks:
        return {}
    result = dict.fromkeys(STAGES.values(), 0.0)
    if Mark.TOOL_FINISHED not in marks:
        del result["tool"]
    reached = marks[Mark.CALLER_STOPPED]
    end = marks[Mark.AGENT_STARTED]
    for mark, stage in STAGES.items():
        if mark in marks and (moment := min(marks[mark], end)) > reached:
            result[stage] += moment - reached
            reached = moment
    return result


def latency(marks: Mapping[Mark, float]) -> float | None:
    """Seconds from the caller's last voiced sample to the first audible one of the answer."""
    if Mark.CALLER_STOPPED not in marks or Mark.AGENT_STARTED not in marks:
        return None
    return max(0.0, marks[Mark.AGENT_STARTED] - marks[Mark.CALLER_STOPPED])
