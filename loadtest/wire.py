"""PURE: the true times of a call, from a relay's capture: how long each turn took on the line, how soon the agent fell
silent when talked over.

A packet's time is when it left the relay for the agent, or when it arrived from the agent, and stands for the sample in
its middle; those before and after it lie as much earlier and later as they are apart in sound. So both ends of a figure
are treated alike, and none has a grain of a packet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.audio import Samples
from loadtest.capture import Direction, Packet
from loadtest.g711 import decode
from loadtest.performance import RATE, Event

AUDIBLE = 100
"""Amplitude (of 32768) from which a sample is audible: -50 dBFS."""
PACKET = 160
"""Samples."""
STOP_SILENCE = 0.4
"""Seconds without an audible packet after which the agent has stopped; pauses between its phrases are shorter."""
ONSET_SILENCE = 0.2
"""Seconds without an audible packet before one that begins something new."""
_TEMPLATE = int(1.5 * RATE)
_SEARCH = int(2.0 * RATE)
"""How far the line may be from the caller's clock: buffers, and a machine that stood still."""
_LEAST_MATCH = 0.5


class WireError(Exception):
    """The capture does not show what the caller says it did."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction of a call, decoded. What was lost is silence."""

    samples: Samples
    first: npt.NDArray[np.int64]
    """First sample of each packet that got through, ascending."""
    times: npt.NDArray[np.float64]
    """time.monotonic() of each of these packets, for the sample in its middle."""
    audible: npt.NDArray[np.bool_]
    """Whether the packet has an audible sample..."""
    onsets: npt.NDArray[np.float64]
    """...and the times of the first..."""
    ends: npt.NDArray[np.float64]
    """...and of the last of them; of a silent packet, of its middle."""

    def packet_with(self, sample: int) -> int:
        """Index of the last packet that begins at or before `sample`."""
        return max(0, int(np.searchsorted(self.first, sample, side="right")) - 1)

    def time_of(self, sample: int) -> float:
        """When this sample passed. Where its packet was lost, when the last sample before it did."""
        packet = self.packet_with(sample)
        within = min(sample - int(self.first[packet]), PACKET - 1)
        return float(self.times[packet]) + _from_middle(within)


@dataclass(frozen=True, slots=True)
class WireTurn:
    """One thing the caller said, and what the agent did. Times are time.monotonic()."""

    kind: str
    text: str
    caller_started: float
    """First voiced sample in."""
    caller_stopped: float
    """Last voiced sample in."""
    agent_stopped: float | None
    """Where the agent was talking when the caller began: its last audible sample before it fell silent."""
    agent_started: float | None
    """First audible sample of what it said next; None where nothing came before the caller spoke again."""

    @property
    def latency(self) -> float | None:
        """Seconds from the caller's last voiced sample in to the agent's first audible sample out."""
        return None if self.agent_started is None else self.agent_started - self.caller_stopped

    @property
    def too_early(self) -> bool:
        """The agent began before the caller had finished."""
        return self.agent_started is not None and self.agent_started < self.caller_stopped

    @property
    def stop_time(self) -> float | None:
        """Seconds from the caller's first voiced sample in to the agent's last audible sample out."""
        return None if self.agent_stopped is None else self.agent_stopped - self.caller_started


def stream(packets: Sequence[Packet], direction: Direction) -> Stream:
    """The decoded sound of one direction of one call. Raises WireError where there is no G.711."""
    got: dict[int, tuple[float, Samples]] = {}
    place = _Placement()
    for packet in packets:
        time = packet.left if direction is Direction.TO_AGENT else packet.arrived
        if packet.direction is not direction or np.isnan(time):
            continue
        if (samples := decode(packet.payload, packet.payload_type)) is not None:
            got.setdefault(place.position(packet), (time, samples))
    if not got:
        raise WireError(f"the capture holds no G.711 {direction.name.lower().replace('_', ' ')}")
    start = min(got)
    first = np.array(sorted(got), dtype=np.int64)
    total = np.zeros(int(first[-1] - start) + len(got[int(first[-1])][1]), dtype=np.int16)
    for position in first.tolist():
        samples = got[position][1]
        total[position - start : position - start + len(samples)] = samples
    times = np.array([got[position][0] for position in first.tolist()])
    loud = [np.flatnonzero(np.abs(got[position][1].astype(np.int32)) >= AUDIBLE) for position in first.tolist()]
    onsets = times + np.array([_from_middle(int(found[0])) if len(found) else 0.0 for found in loud])
    ends = times + np.array([_from_middle(int(found[-1])) if len(found) else 0.0 for found in loud])
    return Stream(total, first - start, times, np.array([len(found) > 0 for found in loud]), onsets, ends)


def _from_middle(within: int) -> float:
    """Seconds from a packet's middle to one of its samples."""
    return (within + 0.5 - PACKET / 2) / RATE


class _Placement:
    """RTP timestamps → positions, over wrap-around and a change of SSRC (a re-INVITE may bring one)."""

    def __init__(self) -> None:
        self._source: int | None = None
        self._last = (0, 0, 0.0)
        """Timestamp, position and arrival of the packet before."""

    def position(self, packet: Packet) -> int:
        timestamp, position, arrived = self._last
        if self._source is None:
            position = 0
        elif self._source == packet.source:
            # The difference as a signed 32 bit number: wraps, and goes back where packets changed places.
            position += (packet.timestamp - timestamp + 2**31) % 2**32 - 2**31
        else:
            position += round((packet.arrived - arrived) * RATE)
        self._source = packet.source
        self._last = (packet.timestamp, position, packet.arrived)
        return position


def turns(packets: Sequence[Packet], events: Sequence[Event], said: Samples, began: float) -> list[WireTurn]:
    """The turns of one call.

    `events` and `said` are the caller's account: what it spoke, at which samples of its recording; `began` is when
    sample 0 was written. Raises WireError.
    """
    caller, agent = stream(packets, Direction.TO_AGENT), stream(packets, Direction.TO_CALLER)
    spoken = [event for event in events if event.kind in ("say", "interrupt", "backchannel")]
    spans = [_on_the_line(caller, event, said, began) for event in spoken]
    found = []
    for n, (event, (first, last)) in enumerate(zip(spoken, spans, strict=True)):
        started, stopped = caller.time_of(first), caller.time_of(last - 1)
        until = caller.time_of(spans[n + 1][0]) if n + 1 < len(spans) else np.inf
        agent_stopped = last_audible(agent, started) if _talking(agent, started) else None
        since = started if agent_stopped is None else agent_stopped
        found.append(
            WireTurn(event.kind, event.text, started, stopped, agent_stopped, first_audible(agent, since, until))
        )
    return found


def _on_the_line(caller: Stream, event: Event, said: Samples, began: float) -> tuple[int, int]:
    """The voiced range of an event in the stream. The clocks give the rough place, likeness the exact one."""
    template = said[event.at : min(event.end, event.at + _TEMPLATE)].astype(np.float64)
    rough = int(caller.first[max(0, int(np.searchsorted(caller.times, began + event.at / RATE)) - 1)])
    start = max(0, rough - _SEARCH)
    window = caller.samples[start : rough + _SEARCH + len(template)].astype(np.float64)
    if len(window) < len(template) or not len(template):
        raise WireError(f"the capture ends before {event.text!r}")
    products = _correlation(window, template)
    sums = np.cumsum(np.concatenate([[0.0], window**2]))  # whole numbers: exact
    energy = (sums[len(template) :] - sums[: -len(template)]) * np.sum(template**2)
    likeness = products / np.sqrt(np.maximum(energy, 1.0))
    best = int(np.argmax(likeness))
    if likeness[best] < _LEAST_MATCH:
        raise WireError(f"{event.text!r} is not on the line where the caller says it spoke")
    return start + best, start + best + event.end - event.at


def _correlation(window: npt.NDArray[np.float64], template: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sliding products, by Fourier transform: a second of speech in a millisecond."""
    size = len(window) + len(template)
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(template, size))
    return np.fft.irfft(spectrum, size)[: len(window) - len(template) + 1]


def _talking(agent: Stream, now: float) -> bool:
    """Whether the agent was in the middle of something: audible before and after, close together."""
    times = agent.times[agent.audible]
    before, after = times[times <= now], times[times > now]
    return bool(len(before) and len(after) and after[0] - before[-1] < STOP_SILENCE)


def last_audible(agent: Stream, after: float) -> float:
    """The agent's last audible sample before it is silent for STOP_SILENCE, from `after` on."""
    chosen = agent.audible & (agent.times >= after)
    times, ends = agent.times[chosen], agent.ends[chosen]
    if not len(times):
        return after
    breaks = np.flatnonzero(np.diff(times) > STOP_SILENCE)
    return float(ends[breaks[0]] if len(breaks) else ends[-1])


def first_audible(agent: Stream, after: float, until: float) -> float | None:
    """The agent's first audible sample between two times that begins something new."""
    times = agent.times[agent.audible]
    fresh = np.diff(times, prepend=-np.inf) > ONSET_SILENCE
    starts = agent.onsets[agent.audible][fresh & (times > after) & (times < until)]
    return float(starts[0]) if len(starts) else None


def pauses(agent: Stream, longest: float = 3.0, shortest: float = STOP_SILENCE) -> list[tuple[float, float]]:
    """Silences between two audible packets, as (time it began, seconds)."""
    times = agent.times[agent.audible]
    gaps = np.diff(times)
    return [(float(times[n]), float(gaps[n])) for n in np.flatnonzero((gaps > shortest) & (gaps <= longest))]
