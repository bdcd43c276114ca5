"""How long a silence ends the turn. PURE: intonation and words in, seconds out."""

from agent.listening.lexical import Expecting, Verdict

# Seconds. Chosen on the development sentences of loadtest/bench_turns.py, where pauses inside sentences last 0.3 to
# 0.9 s and a start is heard 0.13 s late.
_NOT_JUDGED = 0.7
_SURE, _LIKELY, _DOUBTFUL, _UNLIKELY, _OPEN = 0.42, 0.6, 1.12, 1.2, 1.4
# The turn model's probability. It says "finished" to many halves of sentences, and "not finished" seldom in vain.
_FINISHED, _PERHAPS, _HARDLY = 0.8, 0.4, 0.15


_HESITANT = 0.75
"""At least, for a caller who has paused and gone on in this call."""


def required_silence(
    probability: float | None, verdict: Verdict, expecting: Expecting | None = None, hesitant: bool = False
) -> float:
    """Seconds after the last voiced sample until the turn is over.

    `probability` is the turn model's, None while it has not answered (or was too busy to). Somebody who spells a number
    or a name pauses between its parts whatever they sound like, so there the silence is longer. `hesitant`: this caller
    has paused inside a sentence before, and is given more time.
    """
    seconds = max(_judged(probability, verdict), _HESITANT if hesitant else 0.0)
    if expecting in ("phone", "digits", "name") and verdict is not Verdict.COMPLETE:
        return max(seconds, _UNLIKELY)
    return seconds


def _judged(probability: float | None, verdict: Verdict) -> float:
    if verdict is Verdict.INCOMPLETE:
        return _OPEN
    complete = verdict is Verdict.COMPLETE
    if probability is None:
        return _NOT_JUDGED if complete else _DOUBTFUL
    if probability < _HARDLY:
        return _UNLIKELY
    if probability < _PERHAPS:
        return _DOUBTFUL if complete else _UNLIKELY
    if probability < _FINISHED:
        return _LIKELY if complete else _DOUBTFUL
    return _SURE if complete else _DOUBTFUL
