"""Prometheus numbers of the telephone side."""

from prometheus_client import Counter, Gauge, Histogram

refused = Counter("trunkline_sip_refused_total", "Inbound calls refused with 486, by reason.", ["reason"])
stuck = Counter("trunkline_sip_stuck_calls_total", "Broken INVITEs that the SIP stack cannot let go of.")
registered = Gauge("trunkline_sip_registered", "1 while the account is registered at its PBX or trunk.")
lateness = Histogram(
    "trunkline_pump_lateness_seconds",
    "How late each 20 ms tick of the audio pump began.",
    buckets=(0.001, 0.002, 0.005, 0.010, 0.015, 0.020, 0.030, 0.050, 0.100, 0.250, 1.0),
)
skipped_ticks = Counter("trunkline_pump_skipped_ticks_total", "Ticks left out because the process stalled.")
placed = Counter(
    "trunkline_received_seconds_total",
    "Received sound by what became of it: concealed (missing, made up), trimmed (too late), skipped (lost to a stall).",
    ["fate"],
)
