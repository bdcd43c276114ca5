"""Which decode comes next: PURE. Finals first, then guesses, then housekeeping, then what nobody asked for."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Kind(IntEnum):
    """Why a decode is wanted; lower goes first."""

    FINAL = 0
    SPECULATIVE = 1
    SETTLE = 2
    """A piece of a long turn that is complete, so that its sound can be forgotten."""
    PARTIAL = 3


class Full(Exception):
    """As many requests wait as may."""


@dataclass(frozen=True, eq=False)
class Job(Generic[T]):
    """One decode. Compared by identity."""

    stream: int
    kind: Kind
    payload: T


@dataclass
class Scheduler(Generic[T]):
    """Jobs that wait for a decoder.

    Order: by kind, within a kind one job of each stream in turn, within a stream by age.
    Bound: at most `limit` finals and guesses in all; the rest is one per stream and kind.
    Replaced, and so never done: a guess by a newer guess or final of its stream, a partial by any newer job of it.
    """

    limit: int
    _waiting: dict[Kind, OrderedDict[int, deque[Job[T]]]] = field(
        default_factory=lambda: {kind: OrderedDict() for kind in Kind}
    )

    def add(self, job: Job[T]) -> list[Job[T]]:
        """Queue a job; returns those it replaces. Raises Full."""
        replaced = self._replaced_by(job)
        if (
            job.kind <= Kind.SPECULATIVE
            and self.asked + 1 - sum(r.kind <= Kind.SPECULATIVE for r in replaced) > self.limit
        ):
            raise Full(f"{self.limit} requests wait for a decoder")
        for old in replaced:
            self.withdraw(old)
        self._waiting[job.kind].setdefault(job.stream, deque()).append(job)
        return replaced

    def take(self) -> Job[T] | None:
        """The job that is next, which leaves the queue."""
        for streams in self._waiting.values():
            if streams:
                stream, jobs = next(iter(streams.items()))
                job = jobs.popleft()
                if jobs:
                    streams.move_to_end(stream)
                else:
                    del streams[stream]
                return job
        return None

    def withdraw(self, job: Job[T]) -> bool:
        """Take a job back; False if it does not wait any more."""
        streams = self._waiting[job.kind]
        jobs = streams.get(job.stream)
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        if not jobs:
            del streams[job.stream]
        return True

    def drop(self, stream: int) -> list[Job[T]]:
        """Take back all jobs of a stream."""
        return [job for streams in self._waiting.values() for job in streams.pop(stream, ())]

    @property
    def asked(self) -> int:
        """Finals and guesses that wait."""
        return self._count(Kind.FINAL) + self._count(Kind.SPECULATIVE)

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return sum(self._count(kind) for kind in Kind)

    def _count(self, kind: Kind) -> int:
        return sum(map(len, self._waiting[kind].values()))

    def _replaced_by(self, job: Job[T]) -> list[Job[T]]:
        kinds = {Kind.PARTIAL}
        if job.kind <= Kind.SPECULATIVE:
            kinds.add(Kind.SPECULATIVE)
        return [old for kind in sorted(kinds) for old in self._waiting[kind].get(job.stream, ())]
