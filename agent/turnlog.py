"""What is kept of each turn: a row in the record, numbers in the metrics, and nothing else."""

from collections.abc import Callable, Iterable

from agent import metrics
from agent.clients.types import Word
from agent.marks import Mark, latency, stages
from agent.store.records import TurnRow, WordRow
from agent.store.store import CallRecord


class TurnLog:
    """Counts the turns of one call. `elapsed` turns a time of the loop into seconds since the call connected."""

    def __init__(self, record: CallRecord, rate: int, elapsed: Callable[[float], float]) -> None:
        self._record = record
        self._rate = rate
        self._elapsed = elapsed
        self._first_rate: float | None = None  # words per second in the caller's first turn
        self.count = 0
        self.latencies: list[float] = []

    def write(
        self,
        outcome: str,
        *,
        caller: str = "",
        sent: str = "",
        heard: str = "",
        marks: dict[Mark, float] | None = None,
        words: Iterable[Word] = (),
    ) -> None:
        """One turn is over. `outcome`: answered, interrupted, failed, greeting, prompt, apology, goodbye."""
        marks = marks or {}
        row = TurnRow(
            index=self.count,
            outcome=outcome,
            caller=caller,
            agent_sent=sent,
            agent_heard=heard,
            marks={mark.value: self._elapsed(at) for mark, at in marks.items()},
            stages=stages(marks),
            latency=latency(marks),
            interrupted=outcome == "interrupted",
            words=tuple(WordRow(w.text, w.first / self._rate, w.end / self._rate) for w in words),
        )
        self._record.turn(row)
        self.count += 1
        self._measure(row)

    def _measure(self, row: TurnRow) -> None:
        metrics.TURNS.labels(row.outcome).inc()
        if row.latency is not None:
            self.latencies.append(row.latency)
            metrics.TURN_LATENCY.observe(row.latency)
            for stage, seconds in row.stages.items():
                metrics.TURN_STAGE.labels(stage).observe(seconds)
        if len(row.words) >= 3 and (length := row.words[-1].end - row.words[0].start) > 0:
            rate = len(row.words) / length
            if self._first_rate is None:
                self._first_rate = rate
            else:
                metrics.SPEECH_RATE.observe(rate / self._first_rate)
