"""What a run of training keeps beside its weights: notes of its losses, and whether it was asked to stop."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_NOTED_EVERY = 20


class Notes:
    """Means of the losses over a few steps each, a line of JSON apiece."""

    def __init__(self, path: Path, step: int) -> None:
        """Lines that are later than `step` were written by a run that was killed before it saved; they go."""
        self._path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
            path.write_text("".join(f"{line}\n" for line in kept))

    def add(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """After step number `step`, `seconds` into the run."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if step % _NOTED_EVERY == 0:
            means = {name: round(value / self._count, 5) for name, value in self._sums.items()}
            with self._path.open("a") as file:
                file.write(f"{json.dumps({'step': step, 'seconds': round(seconds, 1)} | means)}\n")
            self._sums, self._count = {}, 0


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether somebody asked politely; the step under way is finished and the state saved."""
    asked = []
    before = {s: signal.signal(s, lambda *_: asked.append(True)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
