"""The pump's view of a call: when the caller spoke, by the clock of the wire."""

import asyncio
from typing import Any

import numpy as np
import pytest

from agent import moves
from agent.line import REMEMBERED_TICKS, Line
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped
from tests.virtual_time import run_virtual

FRAME = 160
DELAY = 0.055
"""From the wire to the tick, the same for every packet here."""


class Leg:
    rate = 8000
    received = 0

    def arrival(self, received: int, read: float) -> float:
        assert 0 < received <= self.received
        return read - DELAY


class Ear:
    rate = 8000

    def __init__(self) -> None:
        self.next: list[ListeningEvent] = []

    def events(self) -> list[ListeningEvent]:
        found, self.next = self.next, []
        return found


class Conversation:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.hearing = self
        self.told: list[Any] = []

    def frames(self, frames: object) -> None:
        """Not interested."""

    def tell(self, event: moves.Event) -> None:
        if not isinstance(event, moves.Tick):
            self.told.append(event)


def told(event: ListeningEvent, ticks: list[int]) -> Any:
    """What the conversation is told of an event after ticks, 20 ms apart from 10.0 on, that brought so many frames."""

    async def scenario() -> Any:
        leg, ear, conversation = Leg(), Ear(), Conversation()
        line = Line(leg, ear, conversation, None, pytest.fail)  # type: ignore[arg-type]
        position = 0
        for number, frames in enumerate(ticks):
            if number == len(ticks) - 1:
                ear.next = [event]
            samples = np.zeros(frames * FRAME, dtype=np.int16)
            leg.received += samples.size
            line.on_frames(samples, position, 10.0 + number * 0.02)
            position += samples.size
            await asyncio.sleep(0)
        (only,) = conversation.told
        return only

    return run_virtual(scenario())


def passed(tick: int, within: float) -> float:
    """When a sample passed the wire, `within` (0 to 1) of a packet that a tick brought: its middle has its time."""
    return 10.0 + tick * 0.02 - DELAY + (within - 0.5) * 0.02


@pytest.mark.parametrize(
    ("position", "tick", "within"), [(160, 0, 1.0), (161, 1, 1 / 160), (240, 1, 0.5), (800, 4, 1.0)]
)
def test_the_end_of_speech_has_the_time_of_the_packet_that_brought_it(position: int, tick: int, within: float) -> None:
    event = told(SpeechStopped(position), [1] * 10)
    assert isinstance(event, moves.CallerStopped)
    assert event.at == pytest.approx(passed(tick, within))


def test_packets_of_one_tick_came_one_after_the_other() -> None:
    assert told(SpeechStopped(320), [1, 3, 1]).at == pytest.approx(passed(1, 1.0) - 2 * 0.02)
    assert told(SpeechStopped(640), [1, 3, 1]).at == pytest.approx(passed(1, 1.0))


def test_a_beginning_and_a_barge_in_are_timed_alike() -> None:
    assert told(SpeechStarted(400), [1] * 6).at == pytest.approx(passed(2, 0.5))
    assert told(BargeIn(400), [1] * 6).at == pytest.approx(passed(2, 0.5))


def test_what_is_older_than_the_memory_is_reckoned_back() -> None:
    ticks = REMEMBERED_TICKS + 20
    assert told(SpeechStarted(80), [1] * ticks).at == pytest.approx(passed(0, 0.5))
