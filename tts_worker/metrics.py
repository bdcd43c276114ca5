"""Prometheus numbers of the speech worker."""

from prometheus_client import Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)

FIRST_AUDIO = Histogram(
    "trunkline_tts_first_audio_seconds",
    "From the arrival of a stream's first phrase to its first audio message, waiting for others included.",
    buckets=_BUCKETS,
)
STREAMS = Gauge("trunkline_tts_streams", "Streams that have a place, whether or not they speak.")
STEP = Histogram(
    "trunkline_tts_step_seconds",
    "One step of the engine's thread. hibari: a sentence of one stream. voxtral: a frame of 80 ms of every stream that "
    "wants one, with the prompts of new phrases and the sound that is due.",
    buckets=_BUCKETS,
)
