"""A process that serves gRPC: bind, NOT_SERVING, warm up, SERVING; SIGTERM drains, a second signal stops at once."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.settings import ServiceSettings
from services.telemetry import serve_metrics

log = logging.getLogger(__name__)
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken must be an error, not a silent second server
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", 16 << 20),
)


@dataclass
class Drain:
    """Tells streams that the process is about to leave. Streams wait on `started` and send `Draining`."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    deadline: float = 0.0
    """Of the event loop's clock."""

    def begin(self, seconds: float) -> None:
        """Start draining; streams end by themselves or are cut after `seconds`."""
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.started.set()

    def remaining(self) -> float:
        """Seconds until streams are cut."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


@dataclass(frozen=True)
class Service:
    """What a worker hands to `serve`."""

    name: str
    """Full protobuf name, for health and reflection."""
    register: Callable[[grpc.aio.Server], None]
    """Adds the servicer."""
    warm_up: Callable[[], Awaitable[None]]
    """Loads and exercises the model; the service is ready once it returns."""
    close: Callable[[], Awaitable[None]]
    """Frees the model; called last."""


async def serve(settings: ServiceSettings, service: Service, drain: Drain) -> None:
    """Serve until SIGTERM or SIGINT, then drain for at most `settings.drain_seconds`. Exits 1 if a port is taken."""
    server = grpc.aio.server(options=OPTIONS)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = (service.name, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    service.register(server)
    port = _bind(server, settings)
    metrics_port = serve_metrics(settings.host, settings.metrics_port)
    stop = _signals()
    await checks.set(service.name, health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    try:
        await service.warm_up()
        await checks.set(service.name, health_pb2.HealthCheckResponse.SERVING)
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        log.info("serving", extra={"service": service.name, "port": port, "metrics_port": metrics_port})
        await stop.wait()
        log.info("draining", extra={"seconds": settings.drain_seconds})
        await checks.enter_graceful_shutdown()
        drain.begin(settings.drain_seconds)
        stop.clear()
        await _stop(server, settings.drain_seconds, stop)
    finally:
        await server.stop(0)
        await service.close()
        log.info("stopped")


def _bind(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    address = f"{settings.host}:{settings.port}"
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        variable = f"{settings.prefix}PORT"
        sys.exit(f"cannot listen on {address}: the port is taken or not allowed. Stop what uses it, or set {variable}.")


def _signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _stop(server: grpc.aio.Server, grace: float, again: asyncio.Event) -> None:
    """Let streams end within `grace` seconds; a second signal cuts them."""
    stopping = asyncio.ensure_future(server.stop(grace))
    forced = asyncio.ensure_future(again.wait())
    await asyncio.wait({stopping, forced}, return_when=asyncio.FIRST_COMPLETED)
    forced.cancel()
    if not stopping.done():
        await server.stop(0)
    await stopping
