"""How long a silence ends the turn. PURE: intonation and words in, seconds out."""

from agent.listening.lexical import Expecting, Verdict

# Chosen with loadtest/bench_turns.py; pauses inside sentences last 0.3 to 0.9 s.
_NOT_JUDGED = 0.7
_SURE, _LIKELY, _DOUBTFUL, _UNLIKELY, _OPEN = 0.28, 0.45, 0.7, 1.0, 1.4
_SOUNDS_FINISHED, _SOUNDS_OPEN = 0.8, 0.35


def required_silence(probability: float | None, verdict: Verdict, expecting: Expecting | None = None) -> float:
    """Seconds after the last voiced sample until the turn is over.

    `probability` is the turn model's, None while it has not answered (or was too busy to). Somebody who spells a number
    or a name pauses between its parts whatever they sound like, so there the silence is longer.
    """
    seconds = _judged(probability, verdict)
    if expecting in ("phone", "digits", "name") and verdict is not Verdict.COMPLETE:
        return max(seconds, _UNLIKELY)
    return seconds


def _judged(probability: float | None, verdict: Verdict) -> float:
    if verdict is Verdict.INCOMPLETE:
        return _OPEN
    if probability is None:
        return _NOT_JUDGED
    if probability >= _SOUNDS_FINISHED:
        return _SURE if verdict is Verdict.COMPLETE else _DOUBTFUL
    if probability >= _SOUNDS_OPEN:
        return _LIKELY if verdict is Verdict.COMPLETE else _DOUBTFUL
    return _DOUBTFUL if verdict is Verdict.COMPLETE else _UNLIKELY
