"""How often an address may be wrong. PURE."""

from collections import OrderedDict

MOST_ADDRESSES = 1024
"""Remembered; the one that was wrong longest ago is forgotten first."""


class Attempts:
    """Counts failures of each address in windows of `seconds`."""

    def __init__(self, most: int = 10, seconds: float = 60.0) -> None:
        self._most = most
        self._seconds = seconds
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when the window began, failures in it

    def failed(self, address: str, now: float) -> None:
        """A wrong attempt."""
        began, count = self._failed.pop(address, (now, 0))
        if now - began >= self._seconds:
            began, count = now, 0
        self._failed[address] = (began, count + 1)
        if len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)

    def wait(self, address: str, now: float) -> float:
        """Seconds until the address may try again; 0: now."""
        began, count = self._failed.get(address, (now, 0))
        return max(0.0, began + self._seconds - now) if count >= self._most else 0.0
