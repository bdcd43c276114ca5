"""Latency and stop times from captures whose truth is known."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audio import Samples
from loadtest.capture import Direction, Packet
from loadtest.g711 import decode
from loadtest.performance import FRAME, RATE, Event
from loadtest.wire import WireError, pauses, stream, turns

BEGAN = 5000.0
SENDING_DELAY = 0.06
_CODES = np.argsort(decode(bytes(range(256)), 0), kind="stable")
_LEVELS = decode(bytes(range(256)), 0)


def encode(samples: Samples) -> bytes:
    """Nearest μ-law code of each sample."""
    assert _LEVELS is not None
    ordered = _LEVELS[_CODES]
    at = np.clip(np.searchsorted(ordered, samples), 1, 255)
    nearer = np.where(samples - ordered[at - 1] < ordered[at] - samples, at - 1, at)
    return _CODES[nearer].astype(np.uint8).tobytes()


def noise(seconds: float, seed: int = 1) -> Samples:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 2000).astype(np.int16)


def line(length: float, *parts: tuple[float, Samples]) -> Samples:
    total = np.zeros(int(length * RATE), dtype=np.int16)
    for start, samples in parts:
        total[int(start * RATE) : int(start * RATE) + len(samples)] = samples
    return total


def packets(
    sound: Samples, direction: Direction, lost: frozenset[int] = frozenset(), ssrc: int = 7, first_timestamp: int = 0
) -> list[Packet]:
    """As a relay without delay would see them: packet n passes at BEGAN + SENDING_DELAY + n × 20 ms."""
    found = []
    for n in range(len(sound) // FRAME):
        time = BEGAN + SENDING_DELAY + n * FRAME / RATE
        left = math.nan if n in lost else time
        stamp = (first_timestamp + n * FRAME) % 2**32
        payload = encode(sound[n * FRAME : (n + 1) * FRAME])
        found.append(Packet(direction, time, left, n % 2**16, stamp, 0, ssrc, payload))
    return found


def capture(caller: Samples, agent: Samples, lost: frozenset[int] = frozenset()) -> list[Packet]:
    both = packets(caller, Direction.TO_AGENT, lost) + packets(agent, Direction.TO_CALLER)
    return sorted(both, key=lambda packet: packet.arrived)


def said(kind: str, start: float, end: float) -> Event:
    return Event(kind, int(start * RATE), int(end * RATE), "words")  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.15])
def test_latency_is_last_voiced_to_first_audible(shift: float) -> None:
    """Also when the caller's clock and the line differ by as much as buffers can make them."""
    spoken = line(8, (2.0, noise(1.5)))
    on_the_line = line(8, (2.0 + shift, noise(1.5)))
    heard = line(8, (0.2, noise(1.0, 2)), (4.0 + shift, noise(2.0, 3)))
    (turn,) = turns(capture(on_the_line, heard), [said("say", 2.0, 3.5)], spoken, BEGAN)
    assert turn.latency == pytest.approx(0.5, abs=0.002)
    assert turn.stop_time is None
    assert not turn.too_early


def test_two_turns_are_told_apart() -> None:
    spoken = line(12, (2.0, noise(1.0, 4)), (6.0, noise(1.0, 5)))
    heard = line(12, (3.4, noise(1.0, 6)), (7.8, noise(1.0, 7)))
    found = turns(capture(spoken, heard), [said("say", 2, 3), said("say", 6, 7)], spoken, BEGAN)
    assert [turn.latency for turn in found] == [pytest.approx(0.4, abs=0.002), pytest.approx(0.8, abs=0.002)]


def test_a_turn_without_an_answer_has_no_latency() -> None:
    spoken = line(6, (2.0, noise(1.0)))
    (turn,) = turns(capture(spoken, line(6, (0, noise(1)))), [said("say", 2, 3)], spoken, BEGAN)
    assert turn.latency is None


def test_an_answer_before_the_end_is_too_early() -> None:
    spoken = line(8, (2.0, noise(3.0)))
    (turn,) = turns(capture(spoken, line(8, (4.0, noise(1, 2)))), [said("say", 2, 5)], spoken, BEGAN)
    assert turn.too_early
    assert turn.latency == pytest.approx(-1.0, abs=0.002)


def test_stop_time_is_first_voiced_to_last_audible() -> None:
    spoken = line(10, (3.0, noise(1.5)))
    heard = line(10, (1.0, noise(2.3, 2)), (5.0, noise(1, 3)))
    (turn,) = turns(capture(spoken, heard), [said("interrupt", 3, 4.5)], spoken, BEGAN)
    assert turn.stop_time == pytest.approx(0.3, abs=0.002)
    assert turn.latency == pytest.approx(0.5, abs=0.002)


def test_pauses_between_phrases_are_not_the_stop() -> None:
    spoken = line(10, (3.0, noise(1.5)))
    heard = line(10, (1.0, noise(2.1, 2)), (3.4, noise(0.3, 4)), (6.0, noise(1, 3)))
    (turn,) = turns(capture(spoken, heard), [said("interrupt", 3, 4.5)], spoken, BEGAN)
    assert turn.stop_time == pytest.approx(0.7, abs=0.002)


@given(st.integers(0, 2**32 - 1), st.frozensets(st.integers(0, 399), max_size=20))
@settings(max_examples=25, deadline=None)
def test_loss_and_wrapping_timestamps_change_nothing(first_timestamp: int, lost: frozenset[int]) -> None:
    last = int(3.5 * RATE) // FRAME - 1
    spoken = line(8, (2.0, noise(1.5)))
    heard = packets(line(8, (4.0, noise(1, 2))), Direction.TO_CALLER, first_timestamp=first_timestamp)
    sent = packets(spoken, Direction.TO_AGENT, lost - {last}, first_timestamp=first_timestamp)
    (turn,) = turns([*sent, *heard], [said("say", 2.0, 3.5)], spoken, BEGAN)
    assert turn.latency == pytest.approx(0.5, abs=0.001)


def test_packets_that_changed_places_keep_their_own_times() -> None:
    sent = packets(line(4, (1.0, noise(1.0))), Direction.TO_AGENT)
    swapped: Sequence[Packet] = [*sent[:60], sent[61], sent[60], *sent[62:]]
    assert np.array_equal(stream(swapped, Direction.TO_AGENT).samples, stream(sent, Direction.TO_AGENT).samples)


def test_a_new_ssrc_is_placed_by_the_clock() -> None:
    first = packets(line(2, (0.5, noise(0.5))), Direction.TO_CALLER)
    second = [
        Packet(p.direction, p.arrived + 2, p.left + 2, p.sequence, p.timestamp + 99, 0, 8, p.payload)
        for p in packets(line(2, (1.0, noise(0.5))), Direction.TO_CALLER)
    ]
    agent = stream([*first, *second], Direction.TO_CALLER)
    assert len(agent.samples) == 4 * RATE
    (pause,) = pauses(agent)
    assert pause[1] == pytest.approx(2.02, abs=0.002)


def test_a_caller_who_is_not_on_the_line_is_an_error() -> None:
    spoken = line(6, (2.0, noise(1.0)))
    with pytest.raises(WireError, match="not on the line"):
        turns(capture(line(6, (2.0, noise(1.0, 9))), line(6)), [said("say", 2, 3)], spoken, BEGAN)
    with pytest.raises(WireError, match=r"no G\.711"):
        turns([], [said("say", 2, 3)], spoken, BEGAN)
