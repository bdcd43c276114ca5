"""The runtime that every process shares: settings, server lifecycle, channels, errors, the engine thread, telemetry."""

import os

# gRPC's C++ core would write lines of its own between the JSON ones, about every peer that goes away.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
