"""What a recogniser has to be told again when it is replaced. PURE."""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from agent.audio import Samples
from agent.clients.types import TranscriptKind

BATCH_SECONDS = 0.08
"""Sound of one message: a message per 20 ms frame costs four times a connection."""
KEPT_SECONDS = 60.0
"""Sound that is kept for a replay; of a longer turn, the beginning is given up."""
REPLAY_SECONDS = 0.2
"""Longest sound of one message in the contract."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Sound of one message."""

    first: int
    samples: Samples

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.first + len(self.samples)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a transcript."""

    request_id: int
    through: int
    kind: TranscriptKind


Entry = Chunk | Ask


class Journal:
    """Frames in; messages out, and kept until a final transcript makes them unnecessary."""

    def __init__(self, rate: int) -> None:
        self._batch = int(BATCH_SECONDS * rate)
        self._longest = int(REPLAY_SECONDS * rate)
        self._most = int(KEPT_SECONDS * rate)
        self._frames: list[Chunk] = []
        self._pending = 0
        self._end = 0
        self._entries: deque[Entry] = deque()
        self._kept = 0

    @property
    def waiting(self) -> tuple[Ask, ...]:
        """Requests without an answer, oldest first."""
        return tuple(entry for entry in self._entries if isinstance(entry, Ask))

    @property
    def kept(self) -> int:
        """Samples that a replay would send."""
        return self._kept

    def push(self, position: int, samples: Samples) -> list[Entry]:
        """Take sound and return the messages that are complete. What overlaps with sound taken before is dropped."""
        if position < self._end:
            samples, position = samples[self._end - position :], self._end
        if not len(samples):
            return []
        out = self._flush() if position > self._end else []  # a gap: silence that is not sent
        self._frames.append(Chunk(position, samples.astype(np.int16, copy=True)))
        self._pending += len(samples)
        self._end = position + len(samples)
        return out + self._flush() if self._pending >= self._batch else out

    def ask(self, ask: Ask) -> list[Entry]:
        """Take a request and return it, after all sound that came before it."""
        out = [*self._flush(), ask]
        self._entries.append(ask)
        return out

    def answered(self, request_id: int, superseded: bool) -> bool:
        """Note an answer; a final one forgets the sound before it. False if nothing like it was asked."""
        ask = next((ask for ask in self.waiting if ask.request_id == request_id), None)
        if ask is None:
            return False
        self._entries.remove(ask)
        if ask.kind is TranscriptKind.FINAL and not superseded:
            self._forget(ask.through)
        return True

    def replay(self) -> list[Entry]:
        """Everything that a fresh recogniser needs, in order, neighbouring sound joined."""
        out: list[Entry] = []
        for entry in self._entries:
            last = out[-1] if out else None
            if isinstance(entry, Chunk) and isinstance(last, Chunk) and self._joins(last, entry):
                out[-1] = Chunk(last.first, np.concatenate((last.samples, entry.samples)))
            else:
                out.append(entry)
        return out

    def _joins(self, one: Chunk, other: Chunk) -> bool:
        return one.end == other.first and len(one.samples) + len(other.samples) <= self._longest

    def _flush(self) -> list[Entry]:
        if not self._frames:
            return []
        sound = np.concatenate([frame.samples for frame in self._frames])
        first = self._frames[0].first
        self._frames, self._pending = [], 0
        chunks: list[Entry] = []
        parts = -(-len(sound) // self._longest)
        for piece in np.array_split(sound, parts) if parts > 1 else [sound]:  # equal parts: none too short
            chunks.append(Chunk(first, piece))
            first += len(piece)
        self._entries.extend(chunks)
        self._kept += len(sound)
        self._limit()
        return chunks

    def _limit(self) -> None:
        while self._kept > self._most:
            oldest = next(entry for entry in self._entries if isinstance(entry, Chunk))
            self._entries.remove(oldest)
            self._kept -= len(oldest.samples)

    def _forget(self, through: int) -> None:
        entries: deque[Entry] = deque()
        for entry in self._entries:
            if isinstance(entry, Ask) or entry.first >= through:
                entries.append(entry)
            elif entry.end > through:
                entries.append(replace(entry, first=through, samples=entry.samples[through - entry.first :]))
        self._entries = entries
        self._kept = sum(len(entry.samples) for entry in entries if isinstance(entry, Chunk))
