"""Collecting keys that the caller presses: pure, told of keys and asked about time."""

from dataclasses import dataclass


@dataclass(slots=True)
class DigitCollector:
    """Ends by terminator, by count, or when no key has come for `timeout` seconds."""

    max_digits: int
    terminator: str
    timeout: float
    since: float
    """The loop's time of the last key, or of the prompt's end."""
    digits: str = ""
    complete: bool = False
    """By terminator or count."""

    def press(self, key: str, now: float) -> None:
        """A key. Ignored once complete."""
        if self.complete:
            return
        self.since = now
        if key == self.terminator and self.terminator:
            self.complete = True
            return
        self.digits += key
        self.complete = len(self.digits) >= self.max_digits

    def remaining(self, now: float) -> float:
        """Seconds until it ends by itself; 0 when it has ended."""
        return 0.0 if self.complete else max(0.0, self.since + self.timeout - now)
