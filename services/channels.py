"""Client side of gRPC: channels that notice a dead peer within seconds and come back by themselves."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.errors import Unavailable

OPTIONS: Sequence[tuple[str, int]] = (
    # A peer that vanished without closing is noticed after 5 + 2 s instead of TCP's minutes.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),  # this one counts: without it a ping may take 60 s
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A worker that is started again is used again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 16 << 20),
    # Two channels to one address are two connections: a replaced worker is not reached through a stale one.
    ("grpc.use_local_subchannel_pool", 1),
    # Workers are neighbours; a proxy meant for the web must not get between.
    ("grpc.enable_http_proxy", 0),
)


def connect(target: str) -> grpc.aio.Channel:
    """A channel to `host:port` (or any gRPC target). Connects lazily; must be called in the event loop."""
    return grpc.aio.insecure_channel(target, options=OPTIONS)


async def check(channel: grpc.aio.Channel, service: str, timeout: float) -> str:
    """Ask the health service once: "" means SERVING, anything else says what is wrong."""
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its published stubs lack the methods
    try:
        reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
    except grpc.aio.AioRpcError as error:
        return error.details() or error.code().name
    return "" if reply.status == health_pb2.HealthCheckResponse.SERVING else "not serving (warming up or draining)"


async def wait_serving(channel: grpc.aio.Channel, service: str, timeout: float) -> None:
    """Return once the health service says SERVING. Raises Unavailable after `timeout` seconds."""
    last = "no answer"
    try:
        async with asyncio.timeout(timeout):
            while last := await check(channel, service, timeout=2):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"{service} did not become ready within {timeout:g} s: {last}") from None
