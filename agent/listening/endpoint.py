"""How long a silence ends the turn. PURE: intonation and words in, seconds out."""

from dataclasses import dataclass
from math import log

from agent.listening.lexical import Expecting, Verdict


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of silence. Chosen on the development sentences of loadtest/bench_turns.py, where pauses inside sentences
    last 0.3 to 0.9 s and a start is heard 0.13 s late."""

    sure: float = 0.42
    """A sentence, and it sounds finished."""
    likely: float = 0.6
    """The same, but of a kind that is often continued."""
    not_judged: float = 0.7
    """A sentence; the turn model has not answered."""
    doubtful: float = 1.12
    """The words do not tell, or there are none that are known: the sound alone lets through too much."""
    longest: float = 1.2
    """It sounds unfinished, whatever the words."""
    open: float = 1.4
    """By its words it must go on."""
    slope: float = 0.4
    """Seconds more for every factor of e by which the odds of "finished" are worse than _SURE."""


USUAL = Patience()
QUICK = Patience(likely=0.5, doubtful=0.9, longest=1.05, open=1.2, slope=0.2)
PATIENT = Patience(sure=0.6, likely=0.8, not_judged=0.9)
"""The two are for comparison: what the choice costs."""

_SURE = 0.97
"""The turn model's probability at 77 % of ends, and at 5 % of pauses after words that could end a sentence."""

_HESITANT = 0.75
"""At least, for a caller who has paused and gone on in this call."""


def required_silence(
    probability: float | None,
    verdict: Verdict,
    expecting: Expecting | None = None,
    hesitant: bool = False,
    patience: Patience = USUAL,
) -> float:
    """Seconds after the last voiced sample until the turn is over.

    `probability` is the turn model's, None while it has not answered (or was too busy to). Somebody who spells a number
    or a name pauses between its parts whatever they sound like, so there the silence is longer. `hesitant`: this caller
    has paused inside a sentence before, and is given more time.
    """
    seconds = max(_judged(probability, verdict, patience), _HESITANT if hesitant else 0.0)
    if expecting in ("phone", "digits", "name") and verdict is not Verdict.COMPLETE:
        return max(seconds, patience.longest)
    return seconds


def _judged(probability: float | None, verdict: Verdict, patience: Patience) -> float:
    if verdict is Verdict.INCOMPLETE:
        return patience.open
    if probability is None:
        return patience.not_judged if verdict is Verdict.COMPLETE else patience.doubtful
    floor = {Verdict.COMPLETE: patience.sure, Verdict.LIKELY: patience.likely}.get(verdict, patience.doubtful)
    doubt = max(0.0, _log_odds(_SURE) - _log_odds(probability))
    start = min(floor, patience.likely)  # words that do not tell are no reason to wait twice for the same doubt
    return min(max(floor, start + patience.slope * doubt), patience.longest)


def _log_odds(probability: float) -> float:
    """Limited to what the turn model can tell apart."""
    known = min(max(probability, 0.001), 0.999)
    return log(known / (1 - known))
