"""What a model says, id by id: text for the caller's ear, tool calls for the agent, thoughts for nobody. PURE."""

import codecs
import json
from collections.abc import Sequence

from llm_worker.backends import Call, Delta, Reason
from llm_worker.text import tokenizer as names
from llm_worker.text.tokenizer import Tokenizer


class Reader:
    """Reads one answer.

    Control tokens are told apart by id and never become text. Text comes in whole characters, and what could be the
    beginning of a stop string is held back; each piece begins and ends with a token and has exactly their text. Only
    a stop string within a token makes a piece without ids.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self.ended: Reason | None = None
        """Why the answer is over, once the model or a stop string has ended it."""
        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self._held: list[int] = []  # ids of text that has not been given out
        self._call: list[int] = []  # ids of the call that is being written
        self._called = False
        self._thinking = False
        self._calls_id, self._args_id = tokenizer.control(names.CALL), tokenizer.control(names.ARGS)
        self._think_id, self._thought_id = tokenizer.control(names.THINK), tokenizer.control(names.THINK_END)

    def read(self, token: int) -> list[Delta | Call]:
        """The next id of the answer. Nothing is read once it has `ended`."""
        if self.ended is not None:
            return []
        if token == self._tokenizer.eos:
            steps = self.close() + self._finished_call()
            self.ended = Reason.TOOL_CALLS if self._called else Reason.END
            return steps
        if token == self._calls_id and not self._thinking:
            steps = self.close() + self._finished_call()
            self._call = [token]
            return steps
        if self._call:
            self._call.append(token)
        elif token == self._think_id:
            self._thinking = True
        elif token == self._thought_id:
            self._thinking = False
        elif token >= self._tokenizer.controls and not self._thinking:
            self._held.append(token)
            return self._spoken(final=False)
        return []

    def close(self) -> list[Delta | Call]:
        """What was held back, at the end of an answer or of its text. Half a character and half a call are left out."""
        return self._spoken(final=True)

    def _spoken(self, final: bool) -> list[Delta | Call]:
        """The text of held tokens, as far as it can be given out."""
        text, _ = _characters(self._tokenizer.decode(self._held))
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.ended = Reason.END
            free = min(found)
        else:
            free = len(text) if final else len(text) - self._beginning_of_stop(text)
        ids, before = self._tokens_of(free)
        pieces = [Delta(before, ids)] if before else []
        if found and len(before) < free:
            pieces.append(Delta(text[len(before) : free]))
        self._held = [] if found else self._held[len(ids) :]
        return list(pieces)

    def _tokens_of(self, free: int) -> tuple[tuple[int, ...], str]:
        """The most held tokens that are whole characters, at most `free` of them; and these characters."""
        for count in range(len(self._held), 0, -1):
            ids = tuple(self._held[:count])
            text, whole = _characters(self._tokenizer.decode(ids))
            if whole and len(text) <= free:
                return ids, text
        return (), ""

    def _beginning_of_stop(self, text: str) -> int:
        """Length of the longest end of `text` that a stop string begins with."""
        longest = max(map(len, self._stops), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0

    def _finished_call(self) -> list[Delta | Call]:
        """The call that ends here. One that is no name with a JSON object, which no grammar allows, is left out."""
        ids, self._call = tuple(self._call), []
        if self._args_id not in ids:
            return []
        cut = ids.index(self._args_id)
        try:
            name = self._tokenizer.decode(ids[1:cut]).decode()
            arguments = self._tokenizer.decode(ids[cut + 1 :]).decode()
            if not isinstance(json.loads(arguments), dict):
                return []
        except (ValueError, RecursionError):
            return []
        self._called = True
        return [Call(name, arguments, ids)]


def _characters(data: bytes) -> tuple[str, bool]:
    """The whole characters of UTF-8, U+FFFD for what can be none, and whether nothing is left over."""
    text, used = codecs.utf_8_decode(data, "replace", False)
    return text, used == len(data)
