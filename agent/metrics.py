"""The agent's numbers. Labels never hold a phone number, a call id or text."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_SHORT = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)

TURN_LATENCY = Histogram(
    "trunkline_turn_latency_seconds",
    "Caller's last voiced sample in to the agent's first audible sample of the answer out",
    buckets=_SECONDS,
)
TURN_STAGE = Histogram(
    "trunkline_turn_stage_seconds", "The latency's parts; they add up to it", ["stage"], buckets=(0.001, *_SHORT)
)
TURNS = Counter("trunkline_turns", "Turns by how they ended", ["outcome"])
BARGE_IN_STOP = Histogram(
    "trunkline_barge_in_stop_seconds",
    "Caller's first voiced sample over the agent to the agent's last audible sample",
    buckets=_SHORT,
)
INTERRUPTIONS = Counter("trunkline_interruptions", "Speech over the agent, by what it was found to be", ["verdict"])
CALLS_ACTIVE = Gauge("trunkline_calls_active", "Calls that are up", ["leg"])
CALLS = Counter("trunkline_calls", "Calls that have ended", ["leg", "outcome"])
RTP_JITTER = Histogram(
    "trunkline_rtp_jitter_seconds", "Interarrival jitter at the end of a call", buckets=(0.001, *_SHORT)
)
RTP_LOST = Counter("trunkline_rtp_lost_packets", "Packets of callers that did not arrive")
STARVED = Counter("trunkline_playout_starved_frames", "Frames that were due inside a phrase and not there")
SPEECH_RATE = Histogram(
    "trunkline_caller_speech_rate_ratio",
    "Words per second of a caller's later turns over those of the first turn",
    buckets=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0),
)
