"""What the recogniser tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

FINAL_SECONDS = Histogram(
    "trunkline_stt_final_seconds",
    "From the request for a final transcript to its answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0),
)
DECODES = Counter("trunkline_stt_decodes_total", "Decodes by kind.", ["kind"])
DECODE_SECONDS = Counter("trunkline_stt_decode_seconds_total", "Time decoders worked, by kind.", ["kind"])
REUSED = Counter("trunkline_stt_reused_total", "Requests answered from a decode made before.")
QUEUE = Gauge("trunkline_stt_queue", "Decodes that wait for a decoder.")
STREAMS = Gauge("trunkline_stt_streams", "Calls connected.")
