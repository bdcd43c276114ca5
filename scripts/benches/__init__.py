"""The benchmarks of `make bench`, in the order in which they run."""

from scripts.benches import barge_in, latency
from scripts.benches.common import Benchmark

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("latency", "Turn latency at the relay", latency.run),
        Benchmark("barge_in", "Talking over the agent, and not stopping it", barge_in.run),
    )
}
