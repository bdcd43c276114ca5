"""The caller's words in the language model's cache while they are still being said."""

from agent.clients import Mind
from agent.clients.types import Role
from agent.dialogue import Ids


class Draft:
    """At most one provisional message: it grows with the words that the recogniser is sure of, and is taken out and
    begun again when it turns out otherwise. Once settled it belongs to whoever asked."""

    def __init__(self, mind: Mind, new_id: Ids) -> None:
        self._mind = mind
        self._new_id = new_id
        self._message = 0
        self._text = ""
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Something the model should know, put in front of the caller's next words."""
        self._notes.append(text)

    def grow(self, stable: str) -> None:
        """The words so far that will not change."""
        if not stable.startswith(self._text):
            self.drop()
        self._append(stable)

    def settle(self, text: str) -> int:
        """Make the message say `text`; returns its id. It is still provisional, and no draft any more."""
        self.grow(text)
        message, self._message, self._text = self._message, 0, ""
        return message

    def drop(self) -> None:
        """Take the message out: nothing was said after all."""
        if self._message:
            self._mind.retract(self._message)
        self._message, self._text = 0, ""

    def _append(self, text: str) -> None:
        more = text[len(self._text) :]
        if not more:
            return
        if not self._message:
            for note in self._notes:
                self._mind.append(self._new_id(), Role.SYSTEM, note)
            self._notes = []
            self._message = self._new_id()
        self._mind.append(self._message, Role.USER, more, provisional=True)
        self._text = text
