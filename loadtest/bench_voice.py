"""How soon the speech worker's first audio comes, and what it costs, by the number of calls that speak.

    python -m loadtest.bench_voice [--calls 1 8 32] [--seconds 15]

A worker process of its own is asked over gRPC. Every call speaks without end: a phrase, and the next one when the
first has been heard. Calls begin at random, so phrases meet as they do in life.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from protos import common_pb2
from protos import text_to_speech_pb2 as pb
from protos.text_to_speech_pb2_grpc import TextToSpeechStub
from services.channels import connect, wait_serving
from services.errors import Busy, from_rpc

if TYPE_CHECKING:
    from protos.text_to_speech_pb2_grpc import TextToSpeechAsyncStub

SERVICE = "trunkline.text_to_speech.v1.TextToSpeech"
PHRASES = (
    "Good morning, this is the front desk.",
    "Your appointment is on Tuesday at nine thirty.",
    "Would you prefer Wednesday morning or Thursday afternoon?",
    "I have written that down for you.",
)
HEADER = "calls  phrases  first audio p50   p95    late  refused  worker CPU\n"


@dataclass(frozen=True)
class VoiceReport:
    """One load. Seconds, as the client sees them."""

    calls: int
    phrases: int
    first_audio_p50: float
    first_audio_p95: float
    late: int
    """Phrases that came later than 300 ms after they were sent."""
    refused: int
    """Phrases that the worker had no place or no time for."""
    worker_cores: float
    """CPU time of the worker per second."""


@dataclass
class _Tally:
    first_audio: list[float] = field(default_factory=list)
    refused: int = 0


def bench_voice(calls: int, seconds: float) -> VoiceReport:
    """Run one load against a fresh worker."""
    return asyncio.run(_measure(calls, seconds))


async def _measure(calls: int, seconds: float) -> VoiceReport:
    tally = _Tally()
    async with _worker(calls) as (stub, pid):
        cpu, began = _cpu_seconds(pid), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(_call(stub, began + seconds, tally))
        cores = (_cpu_seconds(pid) - cpu) / (time.monotonic() - began)
    times = sorted(tally.first_audio)
    return VoiceReport(
        calls=calls,
        phrases=len(times),
        first_audio_p50=statistics.median(times),
        first_audio_p95=times[int(0.95 * len(times))],
        late=sum(t > 0.3 for t in times),
        refused=tally.refused,
        worker_cores=cores,
    )


async def _call(stub: "TextToSpeechAsyncStub", until: float, tally: _Tally) -> None:
    await asyncio.sleep(random.uniform(0, 3))
    while time.monotonic() < until:
        began = time.monotonic()
        length = 0.0
        try:
            async for response in stub.Synthesize(iter(_requests(random.choice(PHRASES)))):
                if response.HasField("audio") and not length:
                    tally.first_audio.append(time.monotonic() - began)
                length += len(response.audio.data) / 8000
        except grpc.aio.AioRpcError as error:
            if not isinstance(from_rpc(error), Busy):
                raise
            tally.refused += 1
            length = 1.0
        await asyncio.sleep(max(0.0, began + length - time.monotonic()))


def _requests(text: str) -> list[pb.SynthesizeRequest]:
    return [
        pb.SynthesizeRequest(open=pb.Open(sample_rate=8000, encoding=common_pb2.ENCODING_MULAW)),
        pb.SynthesizeRequest(phrase=pb.Phrase(phrase_id=1, text=text)),
        pb.SynthesizeRequest(flush=pb.Flush()),
    ]


@asynccontextmanager
async def _worker(places: int) -> AsyncIterator[tuple["TextToSpeechAsyncStub", int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"TRUNKLINE_TTS_PORT": str(port), "TRUNKLINE_TTS_MAX_STREAMS": str(places)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tts_worker", env=os.environ | settings, stderr=subprocess.DEVNULL
    )
    try:
        async with connect(f"127.0.0.1:{port}") as channel:
            await wait_serving(channel, SERVICE, timeout=30)
            yield TextToSpeechStub(channel), process.pid
    finally:
        process.terminate()
        await process.wait()


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench_voice", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 8, 32], help="loads to run, one after the other")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each")
    given = parser.parse_args(arguments)
    sys.stdout.write(HEADER)
    for calls in given.calls:
        report = bench_voice(calls, given.seconds)
        p50, p95 = report.first_audio_p50 * 1000, report.first_audio_p95 * 1000
        sys.stdout.write(
            f"{calls:5d} {report.phrases:8d} {p50:14.0f} ms {p95:5.0f} ms {report.late:5d} {report.refused:8d} "
        )
        sys.stdout.write(f"{report.worker_cores:10.2f} cores\n")


if __name__ == "__main__":
    main()
