"""Calls that the SIP stack has lost track of. Pure.

An INVITE that fails late in the stack (one without Contact, say) leaves a call behind that nothing can end: it holds
two sockets and a place among the stack's calls, and closing the stack with it inside corrupts memory. So they are
counted, the stack has room for them, a process with too many should be replaced, and a stack with any is not closed.
"""

from baresip import Event, StackEvent

LIMIT = 100
"""Stuck calls after which the process should be replaced."""
PATIENCE = 5.0
"""Seconds after its offer in which a call is announced, if it ever is."""


class StuckCalls:
    """Follows the stack's events: a new call shows its offer first and is announced, or closed, right after."""

    def __init__(self) -> None:
        self._offered: dict[int, float] = {}
        self._known: set[int] = set()
        self.count = 0
        """Calls that were never announced."""

    def on_stack_event(self, event: StackEvent, now: float) -> None:
        """Take an event."""
        match event.event:
            case Event.CALL_REMOTE_SDP if event.text == "offer" and event.call not in self._known:
                self._offered.setdefault(event.call, now)
            case Event.CALL_INCOMING | Event.CALL_OUTGOING:
                self._offered.pop(event.call, None)
                self._known.add(event.call)
            case Event.CALL_CLOSED:
                self._offered.pop(event.call, None)
                self._known.discard(event.call)

    def check(self, now: float) -> int:
        """How many calls have turned out to be stuck since the last check."""
        stuck = [call for call, offered in self._offered.items() if now - offered > PATIENCE]
        for call in stuck:
            del self._offered[call]
            self._known.add(call)
        self.count += len(stuck)
        return len(stuck)

    @property
    def possible(self) -> bool:
        """Whether any call is stuck, or may be."""
        return self.count > 0 or bool(self._offered)
