"""PURE: the tokens of one conversation, and which of them are in the cache.

`ids` is the truth, `table` and `computed` say what of it has been computed. Whatever is done to a conversation, retract
and truncate included, ends as new ids: what old and new begin with is kept to the exact token, the rest is computed
again. So a conversation that has lost its blocks needs nothing but its ids, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from llm_worker.engine.blocks import Blocks

_STRIDE = 256


@dataclass(frozen=True, slots=True)
class Copy:
    """What block `source` holds is needed in block `target`, too."""

    source: int
    target: int


class Context:
    """One conversation in the cache."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.ids: list[int] = []
        self.table: list[int] = []
        """Blocks held, in order; the block of token `i` is `table[i // size]`."""
        self.computed = 0
        """So many of `ids`, from the first on, are in the cache."""
        self._flight = 0  # those up to here will be computed when the step under way ends

    @property
    def pending(self) -> int:
        """Tokens that are not in the cache yet."""
        return len(self.ids) - self.computed

    def follow(self, ids: Sequence[int]) -> int:
        """The conversation says `ids` now. Returns how many tokens of it are as they were; others left the cache."""
        kept = common(self.ids, ids)
        self._cut(kept)
        self.ids.extend(ids[kept:])
        return kept

    def extend(self, token: int) -> None:
        """One more token, not computed."""
        self.ids.append(token)

    def adopt(self) -> int:
        """Hold what others have computed of the tokens that come next. Returns how many tokens that gave."""
        size, before = self._blocks.size, self.computed
        while (index := self.computed // size) * size + size <= len(self.ids):
            found = self._blocks.find(self._parent(index), self.ids[index * size : index * size + size])
            if found is None:
                break
            if index == len(self.table):
                self._blocks.hold(found)
                self.table.append(found)
            elif self.table[index] != found:
                self._blocks.hold(found)
                self._blocks.give_back([self.table[index]])
                self.table[index] = found
            self.computed = self._flight = index * size + size
        return self.computed - before

    def ahead(self) -> tuple[int | None, tuple[int, ...]] | None:
        """The parent and the tokens of the next block to be computed: the same for two that compute the same. None
        when it will not be full."""
        index, size = self.computed // self._blocks.size, self._blocks.size
        ids = tuple(self.ids[index * size : index * size + size])
        return (self._parent(index), ids) if len(ids) == size else None

    def needed(self, tokens: int) -> int:
        """Blocks that must be available for the next `tokens`."""
        new = -(-(self.computed + tokens) // self._blocks.size) - len(self.table)
        return max(0, new) + (tokens > 0 and self._shared() is not None)

    def reserve(self, tokens: int) -> list[Copy]:
        """Hold blocks for the next `tokens`, as many as are `needed`, none of them published. Returns what must be
        copied before they are written."""
        copies: list[Copy] = []
        if tokens and (shared := self._shared()) is not None:
            index = self.computed // self._blocks.size
            self.table[index] = self._blocks.take()
            self._blocks.give_back([shared])
            copies.append(Copy(shared, self.table[index]))
        self.table.extend(self._blocks.take() for _ in range(self.needed(tokens)))
        return copies

    def begin(self, tokens: int) -> None:
        """A step that computes the next `tokens` is under way."""
        self._flight = self.computed + tokens

    def finish(self) -> None:
        """The step has ended: what it computed and is still said is in the cache. Full blocks can be found."""
        size = self._blocks.size
        index = self.computed // size
        self.computed = max(self.computed, self._flight)
        self._flight = self.computed
        for full in range(index, self.computed // size):
            ids = self.ids[full * size : full * size + size]
            self.table[full] = self._blocks.publish(self.table[full], self._parent(full), ids)

    def fail(self) -> None:
        """The step has failed: what it was to compute is not there."""
        self._flight = self.computed

    def release(self) -> None:
        """Give all blocks back; the ids stay."""
        self._cut_cache(0)

    def missing(self, more: int = 0) -> int:
        """Blocks that the ids and `more` tokens need beyond those held."""
        return max(0, -(-(len(self.ids) + more) // self._blocks.size) - len(self.table))

    def _cut(self, kept: int) -> None:
        del self.ids[kept:]
        self._cut_cache(kept)

    def _cut_cache(self, kept: int) -> None:
        self.computed, self._flight = min(self.computed, kept), min(self._flight, kept)
        needed = -(-max(self.computed, self._flight) // self._blocks.size)
        self._blocks.give_back(self.table[needed:])
        del self.table[needed:]

    def _shared(self) -> int | None:
        """The published block that the next token would be written to: the conversation was cut inside it."""
        index, inside = divmod(self.computed, self._blocks.size)
        return self.table[index] if inside and self._blocks.is_published(self.table[index]) else None

    def _parent(self, index: int) -> int | None:
        return self.table[index - 1] if index else None


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many items two sequences begin with alike."""
    most = min(len(one), len(other))
    for start in range(0, most, _STRIDE):
        stop = min(start + _STRIDE, most)
        if one[start:stop] != other[start:stop]:
            return next(i for i in count(start) if one[i] != other[i])
    return most
