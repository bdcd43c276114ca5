"""A process that serves gRPC: bind, NOT_SERVING, warm up, SERVING; SIGTERM drains, a second signal stops at once."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.errors import ServiceError
from services.gate import Gate
from services.settings import ServiceSettings
from services.telemetry import Plain, configure_logging, redact, sample_loop_lag, serve_metrics

log = logging.getLogger(__name__)
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken must be an error, not a silent second server
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", 16 << 20),
)
FLUSH_SECONDS = 0.2
"""What the last statuses of streams that have ended get to reach their clients."""
_REST_SECONDS = 1.0


class StartupError(Exception):
    """The process cannot begin to serve; the text is the line for whoever started it."""


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
    """Loads and exercises the model; the service is ready once it returns. Until then its methods are refused."""
    close: Callable[[], Awaitable[None]]
    """Frees the model; called last."""


def run(settings: ServiceSettings, build: Callable[[Drain], Service]) -> None:
    """Body of a worker's entry point: logging, event loop, `serve`. What prevents the start (a port that is taken, a
    model that cannot be loaded) is one line on stderr and exit code 1."""
    configure_logging(settings.log_level, settings.log_words)

    async def main() -> None:
        drain = Drain()
        try:
            service = build(drain)
        except ServiceError as error:
            raise StartupError(f"cannot start: {error}") from error
        await serve(settings, service, drain)

    try:
        asyncio.run(main())
    except StartupError as error:
        sys.exit(str(error))


async def serve(settings: ServiceSettings, service: Service, drain: Drain) -> None:
    """Serve until SIGTERM or SIGINT, then drain for at most `settings.drain_seconds`. Raises StartupError."""
    gate = Gate(service.name)
    server = grpc.aio.server(options=OPTIONS, interceptors=(gate,))
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection((service.name, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    service.register(server)
    ports = _bind(server, settings)
    stop = _signals()
    lag = asyncio.create_task(sample_loop_lag())
    try:
        await _report(checks, service.name, serving=False)
        await server.start()
        if not await _warm_up(service, stop):
            return
        gate.closed_because = ""
        await _report(checks, service.name, serving=True)
        log.info("serving", extra={"service": service.name, "host": Plain(settings.host), **ports})
        await stop.wait()
        stop.clear()
        gate.closed_because = "draining"
        await checks.enter_graceful_shutdown()
        await _drain(settings.drain_seconds, drain, gate, stop)
    finally:
        lag.cancel()
        _default_signals()  # closing a model may take long: one signal more ends the process
        await server.stop(FLUSH_SECONDS)
        await service.close()
        await _rest()
        log.info("stopped")


async def _rest() -> None:
    """Let gRPC's own tasks of streams that have just been cut come to their end: a task that the end of the event loop
    cancels prints a traceback."""
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=_REST_SECONDS)


async def _report(checks: health.aio.HealthServicer, name: str, serving: bool) -> None:
    states = health_pb2.HealthCheckResponse
    for service in (name, ""):
        await checks.set(service, states.SERVING if serving else states.NOT_SERVING)


async def _warm_up(service: Service, stop: asyncio.Event) -> bool:
    """False when a signal came first. Raises StartupError."""
    warming = asyncio.ensure_future(service.warm_up())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({warming, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not warming.done():
            return False
        await warming
    except ServiceError as error:
        raise StartupError(f"{service.name} cannot start: {error}") from error
    except Exception as error:
        log.exception("warm-up failed")
        why = redact(f"{type(error).__name__}: {error}")
        raise StartupError(f"{service.name} cannot start: {why}") from error
    finally:
        for task in (warming, stopped):
            task.cancel()
        await asyncio.gather(warming, stopped, return_exceptions=True)
    return True


async def _drain(seconds: float, drain: Drain, gate: Gate, again: asyncio.Event) -> None:
    """Let streams end within `seconds`; a second signal ends the wait."""
    log.info("draining", extra={"seconds": seconds})
    drain.begin(seconds)
    waits = [asyncio.ensure_future(gate.idle()), asyncio.ensure_future(again.wait())]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _bind(server: grpc.aio.Server, settings: ServiceSettings) -> dict[str, int]:
    """Take both ports. Raises StartupError."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        _probe(settings.host, settings.port)
        port = server.add_insecure_port(f"{host}:{settings.port}")
    except (OSError, RuntimeError) as error:
        raise _taken(settings, "port", settings.port, error) from None
    try:
        metrics_port = serve_metrics(settings.host, settings.metrics_port)
    except OSError as error:
        raise _taken(settings, "metrics_port", settings.metrics_port, error) from None
    return {"port": port, "metrics_port": metrics_port}


def _probe(host: str, port: int) -> None:
    """Raise OSError if the port cannot be had. gRPC itself would also print pages about it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family):
        pass


def _taken(settings: ServiceSettings, field: str, port: int, error: Exception) -> StartupError:
    variables = f"{settings.prefix}{field.upper()} or {settings.prefix}HOST"
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return StartupError(f"cannot listen on {settings.host}:{port}: {why}. Stop what uses it, or set {variables}.")


def _signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _default_signals() -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):
            loop.remove_signal_handler(number)
