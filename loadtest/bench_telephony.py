"""How long sound takes through the SIP leg, what loss does to it, and what a call costs, against a raw RTP peer.

    python -m loadtest.bench_telephony [delay] [loss] [wire] [cost] [--calls 20] [--seconds 10] [--json]

`delay`, `loss` and `wire` run peer and agent in one process on one clock; `cost` measures an agent in a process of its
own.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agent.audio import Samples
from agent.telephony.leg import Leg
from agent.telephony.pump import Pump
from loadtest import bench_wire
from loadtest.bench_wire import LEVELS, is_loud
from loadtest.rawcall import connected, settings
from loadtest.rawmedia import encode_mulaw
from loadtest.rawphone import RawPhone
from loadtest.report import percentile
from loadtest.talker import FRAME, Talker


async def measure_out(bursts: int) -> tuple[list[float], float, int]:
    """Seconds from the pump's question to the packet for each burst; ACK to first packet; frames missing inside."""
    async with connected() as (leg, phone, _, acknowledged):
        pump, talker = Pump(), Talker(leg)
        await asyncio.sleep(random.random() * 0.02)  # as in an agent, where the pump ran before the call began
        pump.add(talker)
        running = asyncio.create_task(pump.run())
        for _ in range(bursts):
            talker.frames = 20
            await asyncio.sleep(0.6 + random.random() * 0.02)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        loud = [(time, is_loud(data)) for time, data in phone.media.arrived if len(data) == 172]
    starts = [time for (_, before), (time, now) in zip([(0.0, False), *loud], loud, strict=False) if now and not before]
    missing = bursts * 20 - sum(now for _, now in loud)
    delays = [min(start for start in starts if start >= handed) - handed for handed in talker.handed]
    return delays, starts[0] - acknowledged, missing


@dataclass(frozen=True)
class Line:
    """What a network does to packets."""

    loss: float
    jitter: float
    """Seconds; every packet is delayed by up to this much."""


async def measure_in(jitter_ms: str, line: Line, seconds: float) -> tuple[list[float], float]:
    """Seconds from a packet's regular sending time to its samples in `read`, and the share of packets delivered.

    Every packet carries its number as a level, so that it is known again.
    """
    chance = random.Random(5)
    loop = asyncio.get_running_loop()
    arrived: list[tuple[float, Samples]] = []
    async with connected(jitter_ms) as (leg, phone, dialog, _):
        start = loop.time() + 0.05
        reading = asyncio.create_task(_read(leg, arrived))
        sent: dict[int, float] = {}
        for index in range(int(seconds / 0.02)):
            packet = phone.media.packet(encode_mulaw(np.full(FRAME, _level(index), dtype=np.int16)))
            due = start + index * 0.02
            if chance.random() >= line.loss:
                sent[index] = due
                loop.call_at(due + chance.random() * line.jitter, phone.media.send, packet, dialog.media)
        await asyncio.sleep(start + seconds + 0.3 - loop.time())
        reading.cancel()
    return _match(sent, arrived)


def _level(index: int) -> int:
    return LEVELS[index % len(LEVELS)]


async def _read(leg: Leg, arrived: list[tuple[float, Samples]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        samples = leg.read()
        if samples.size:
            arrived.append((loop.time(), samples))
        await asyncio.sleep(0.001)


def _match(sent: dict[int, float], arrived: Sequence[tuple[float, Samples]]) -> tuple[list[float], float]:
    delays = []
    open_packets = dict(sent)
    for time, samples in arrived:
        for frame in samples[: samples.size - samples.size % FRAME].reshape(-1, FRAME):
            level = int(np.median(frame))
            found = [i for i, due in open_packets.items() if _level(i) == level and 0 <= time - due < 0.5]
            if found:
                delays.append(time - open_packets.pop(found[0]))
    return delays, len(delays) / max(1, len(sent))


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU of the process, and of its first thread (the event loop)."""
    tick = os.sysconf("SC_CLK_TCK")

    def used(path: str) -> float:
        fields = Path(path).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / tick

    return used(f"/proc/{pid}/stat"), used(f"/proc/{pid}/task/{pid}/stat")


@dataclass(frozen=True)
class Cost:
    """What calls cost an agent that talks and listens through the pump, on a core of its own."""

    calls: int
    core: float
    """Share of a core per call, all threads."""
    loop: float
    """Of it the event loop's thread."""
    gaps: float
    """Share of packets that were silent although the agent talked."""


async def measure_cost(calls: int, seconds: float) -> Cost:
    """Let raw phones call an agent process and count."""
    chosen = settings()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.talker", chosen.model_dump_json(),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    phones = [RawPhone(chosen.sip_port) for _ in range(calls)]
    try:
        for phone in phones:
            await phone.__aenter__()
            phone.media.talk(await phone.call())
            await asyncio.sleep(0.013)
        await asyncio.sleep(1)
        before = cpu_seconds(process.pid)
        for phone in phones:
            phone.media.arrived.clear()
        await asyncio.sleep(seconds)
        after = cpu_seconds(process.pid)
        loud = [is_loud(data) for phone in phones for _, data in phone.media.arrived if len(data) == 172]
    finally:
        for phone in phones:
            await phone.__aexit__()
        process.terminate()
        await process.communicate()
    core, loop = ((end - start) / seconds / calls for start, end in zip(before, after, strict=True))
    return Cost(calls, core, loop, loud.count(False) / max(1, len(loud)))


@dataclass(frozen=True)
class Delays:
    """Seconds, without loss. The line's clock and the pump's have another phase in every call."""

    out: list[float]
    """Pump asks → packet, one for each burst of sound."""
    greetings: list[float]
    """ACK → first audible packet, when the agent speaks at once; one for each call."""
    missing: int
    """Frames that were not in the bursts."""
    into: list[float]
    """Packet → read."""


async def measure_delays() -> Delays:
    """Out and in, on a clean line."""
    calls = [await measure_out(5) for _ in range(12)]
    into, _ = await measure_in("40-100", Line(0, 0), 10)
    return Delays(
        [delay for delays, _, _ in calls for delay in delays],
        [greeting for _, greeting, _ in calls],
        sum(missing for _, _, missing in calls),
        into,
    )


def _delay_text(found: Delays) -> str:
    out, greetings, into = found.out, found.greetings, found.into
    return (
        f"out, pump asks → packet    p50 {ms(out, 0.5)}  p99 {ms(out, 0.99)} ms; frames missing: {found.missing}\n"
        f"ACK → first audible packet p50 {ms(greetings, 0.5)}  most {ms(greetings, 1)} ms\n"
        f"in, packet → read          p50 {ms(into, 0.5)}  p99 {ms(into, 0.99)} ms\n"
    )


@dataclass(frozen=True)
class Loss:
    """What a jitter buffer makes of a line."""

    jitter_ms: str
    line: str
    delivered: float
    """Share of the packets that arrived."""
    p50: float
    p99: float
    """Seconds from packet to read."""


async def measure_loss() -> list[Loss]:
    """Jitter buffers against a line with loss."""
    found = []
    for jitter_ms in ("40-100", "20-60", "60-120"):
        for name, line in (("clean", Line(0, 0)), ("5 % loss, 30 ms jitter", Line(0.05, 0.03))):
            delays, share = await measure_in(jitter_ms, line, 12)
            found.append(Loss(jitter_ms, name, share, percentile(delays, 0.5), percentile(delays, 0.99)))
    return found


def _loss_text(found: list[Loss]) -> str:
    rows = ["jitter buffer  line                     delivered  p50   p99 ms\n"]
    for row in found:
        times = f"{row.p50 * 1000:>4.0f}  {row.p99 * 1000:>4.0f}"
        rows.append(f"{row.jitter_ms:<14} {row.line:<24} {row.delivered:>8.1%}  {times}\n")
    return "".join(rows)


def ms(values: Sequence[float], share: float) -> str:
    """A percentile of seconds, in ms."""
    return f"{percentile(values, share) * 1000:.0f}"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["delay", "loss", "wire", "cost", []], help="default: all")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true", help="one line for each part, for programs")
    given = parser.parse_args()
    for name in given.what or ("delay", "loss", "wire", "cost"):
        found, text = _measured(name, given.calls, given.seconds)
        sys.stdout.write(json.dumps(found) + "\n" if given.json else text)


def _measured(name: str, calls: int, seconds: float) -> tuple[object, str]:
    """A part as a value and as a text."""
    match name:
        case "delay":
            delays = asyncio.run(measure_delays())
            return asdict(delays), _delay_text(delays)
        case "loss":
            rows = asyncio.run(measure_loss())
            return [asdict(row) for row in rows], _loss_text(rows)
        case "wire":
            text = asyncio.run(bench_wire.report(calls))
            return text, text
        case _:
            cost = asyncio.run(measure_cost(calls, seconds))
            return asdict(cost), _cost_text(cost)


def _cost_text(cost: Cost) -> str:
    return (
        f"{cost.calls} calls: {cost.core:.2%} of a core per call, of it {cost.loop:.2%} in the event loop's thread; "
        f"{cost.gaps:.2%} of the packets silent inside speech\n"
    )


if __name__ == "__main__":
    main()
