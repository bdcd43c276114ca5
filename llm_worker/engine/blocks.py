"""PURE: who holds which block of the cache, and which blocks hold a beginning that may come again.

A block is room for `size` tokens. Full blocks whose tokens have been computed are published: they never change again,
and any conversation that begins with the same tokens holds the same blocks. A block is found by its tokens themselves
and by the parent block, which was found the same way; so a find is exact, and no digest is mistaken for another.

Eviction. A block is taken from, in this order:
1. blocks in which there is nothing;
2. published blocks that nobody holds, the one that was held least recently first. Of blocks given back together the
   last of the conversation goes first, so the beginning of what is kept is never missing.
When there is neither, whoever wants blocks decides who has to give some back (`scheduler.Scheduler`).
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

SCRATCH = 0
"""The block that nobody holds: padding is written there."""
ROOT = 0
"""The parent of a conversation's first block."""

_Key = tuple[int, tuple[int, ...]]


class Blocks:
    """Blocks 1 … `count` − 1, by number; block 0 is `SCRATCH`."""

    def __init__(self, count: int, size: int = 16) -> None:
        if count < 2 or size < 1:
            raise ValueError(f"{count} blocks of {size} tokens: at least 2 of 1 are needed")
        self.count, self.size = count, size
        self._blank = list(range(count - 1, SCRATCH, -1))
        self._holders = [0] * count
        self._kept: OrderedDict[int, None] = OrderedDict()  # published and held by nobody; the next to go in front
        self._published: dict[_Key, int] = {}
        self._key: dict[int, _Key] = {}
        self._serial: dict[int, int] = {}  # of a published block; never used again, unlike the block's number
        self._serials = ROOT

    @property
    def capacity(self) -> int:
        """Blocks that can be held at once."""
        return self.count - 1

    @property
    def available(self) -> int:
        """Blocks that `take` can give now."""
        return len(self._blank) + len(self._kept)

    @property
    def used(self) -> int:
        """Blocks with something in them, held or not."""
        return self.capacity - len(self._blank)

    def holders(self, block: int) -> int:
        """How many hold the block."""
        return self._holders[block]

    def take(self) -> int:
        """An empty block, held once. Whoever takes has seen that one is `available`."""
        if self._blank:
            block = self._blank.pop()
        else:
            block, _ = self._kept.popitem(last=False)  # KeyError: all are held
            del self._published[self._key.pop(block)]
            del self._serial[block]
        self._holders[block] = 1
        return block

    def hold(self, block: int) -> None:
        """One more holds a block that is held or published."""
        if not self._holders[block]:
            del self._kept[block]  # KeyError: an empty block cannot be held
        self._holders[block] += 1

    def give_back(self, blocks: Sequence[int]) -> None:
        """A conversation's blocks, in its order, have one holder less."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block] < 0:
                raise RuntimeError(f"block {block} was given back twice")
            if not self._holders[block]:
                if block in self._key:
                    self._kept[block] = None
                else:
                    self._blank.append(block)

    def is_published(self, block: int) -> bool:
        """Whether the block must not be written to any more."""
        return block in self._key

    def find(self, parent: int | None, ids: Iterable[int]) -> int | None:
        """The published block with the tokens `ids` behind block `parent` (None: at the beginning)."""
        return self._published.get(self._key_of(parent, ids))

    def publish(self, block: int, parent: int | None, ids: Iterable[int]) -> int:
        """Full and computed: the block can be found from now on. `parent` is published and held.

        Returns the block to go on with. Where another conversation was first it is that one's, held in place of
        `block`, which was given back: two copies of the same tokens are not kept.
        """
        key = self._key_of(parent, ids)
        if len(key[1]) != self.size:
            raise ValueError(f"{len(key[1])} tokens are not a full block of {self.size}")
        first = self._published.get(key)
        if first is None:
            self._serials += 1
            self._published[key], self._key[block], self._serial[block] = block, key, self._serials
            return block
        if first != block:
            self.hold(first)
            self.give_back([block])
        return first

    def _key_of(self, parent: int | None, ids: Iterable[int]) -> _Key:
        return (ROOT if parent is None else self._serial[parent], tuple(ids))
