"""The benchmarks of `make bench`, in the order in which they run."""

from scripts.benches import barge_in, capacity, hesitation, latency, models, soak, telephony
from scripts.benches.common import Benchmark

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("latency", "Turn latency at the relay", latency.run),
        Benchmark("hesitation", "Hesitating callers on the line", hesitation.run),
        Benchmark("turns", "When has a caller finished?", models.turns),
        Benchmark("barge_in", "Talking over the agent, and not stopping it", barge_in.run),
        Benchmark("telephony", "The SIP leg by itself", telephony.run),
        Benchmark("capacity", "What a connected call costs the agent", capacity.run),
        Benchmark("words", "The caller's words", models.words),
        Benchmark("spans", "Which word a sound belongs to", models.spans),
        Benchmark("soak", "Three hundred calls one after the other", soak.run),
    )
}
