"""The agent's voice on one leg: which utterance has it, what each 20 ms sound like, when what left and was heard."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from agent.audio import Samples
from agent.playout import Cut, Playout
from agent.telephony.leg import Leg

FAR_END_BUFFER = 0.06
"""Seconds that a phone typically buffers before it plays."""


class Kind(StrEnum):
    """What an utterance is for."""

    ANSWER = "answer"
    GREETING = "greeting"
    PROMPT = "prompt"
    APOLOGY = "apology"
    GOODBYE = "goodbye"


@dataclass(slots=True)
class Utterance:
    """Something the agent says."""

    kind: Kind
    playout: Playout
    texts: dict[int, str] = field(default_factory=dict)
    """Source → text, as far as it is known."""
    started: float | None = None
    """When its first frame was handed to the leg."""
    audible: float | None = None
    """When the first audible sample of an answer left."""
    asked: bool = False
    """The leg will tell that."""

    def left(self, at: float) -> None:
        """The first audible sample is on the wire."""
        self.audible = at


class Speaker:
    """Plays one utterance at a time. Told to by the call, asked for frames by the pump."""

    def __init__(self, leg: Leg, started: Callable[[Utterance], None], ended: Callable[[Utterance], None]) -> None:
        self._leg = leg
        self._started = started
        self._ended = ended
        self.current: Utterance | None = None

    def utterance(self, kind: Kind) -> Utterance:
        """A new, silent one; not yet playing."""
        return Utterance(kind, Playout(self._leg.rate))

    def play(self, utterance: Utterance) -> None:
        """Let it be heard as its sound comes. What was being said is dropped."""
        if self.current is not None and self.current is not utterance:
            self.stop()
        utterance.playout.gate_open = True
        self.current = utterance

    def next_frame(self, now: float) -> Samples | None:
        """20 ms to send, or None for silence."""
        utterance = self.current
        if utterance is None:
            return None
        playout = utterance.playout
        before = playout.position
        frame = playout.next_frame()
        if frame is not None:
            if utterance.started is None:
                utterance.started = now
                self._started(utterance)
            if not utterance.asked and playout.first_audible is not None and playout.first_audible >= before:
                utterance.asked = True
                self._leg.on_departure(playout.first_audible - before, utterance.left)
        if playout.done and not playout.paused:
            self.current = None
            self._ended(utterance)
        return frame

    def pause(self) -> None:
        """Fall silent now; what waits in the leg is taken back."""
        if self.current is not None:
            self.current.playout.pause(self._leg.clear())
            self.current.asked = self.current.audible is not None  # what was taken back is to leave again

    def resume(self) -> None:
        """Go on from the start of the last word."""
        if self.current is not None:
            self.current.playout.resume(self.current.texts)

    def stop(self) -> list[Cut]:
        """End the utterance here, without `ended`. Says how far each of its texts got."""
        utterance = self.current
        if utterance is None:
            return []
        self.current = None
        return utterance.playout.cut(utterance.texts, self._leg.clear(), self._in_flight())

    def _in_flight(self) -> float:
        """Seconds of sound that have left and have not reached the ear: half the round trip and the phone's buffer."""
        return self._leg.stats().round_trip_seconds / 2 + self._leg.output_delay + FAR_END_BUFFER
