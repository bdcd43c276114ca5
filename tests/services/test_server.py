"""The life of a worker process, from outside: real process, real signals, real gRPC."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from protos import text_to_speech_pb2 as pb
from protos import text_to_speech_pb2_grpc as pb_grpc
from scripts.ports import free_port
from services.channels import check, connect, wait_serving
from services.errors import Unavailable, from_rpc
from tests.services.example_server import NAME
from tests.waiting import LONG


class Process:
    """The example server, and a channel to it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.channel = connect(f"127.0.0.1:{port}")
        self.stub: Any = pb_grpc.TextToSpeechStub(self.channel)

    async def warm(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        await wait_serving(self.channel, NAME, LONG)

    async def reachable(self) -> None:
        async with asyncio.timeout(LONG):
            await self.channel.channel_ready()

    async def stream(self) -> Any:
        call = self.stub.Synthesize()
        assert (await call.read()).opened.model == "example"
        return call

    async def ended(self) -> tuple[int, str, str]:
        async with asyncio.timeout(LONG):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    started: list[Process] = []

    async def begin(port: int | None = None, **settings: str) -> Process:
        port = free_port() if port is None else port
        variables = {f"TRUNKLINE_EXAMPLE_{name.upper()}": value for name, value in settings.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.services.example_server",
            env=os.environ | {"TRUNKLINE_EXAMPLE_PORT": str(port)} | variables,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(Process(process, port))
        return started[-1]

    yield begin
    for one in started:
        await one.channel.close()
        if one.process.returncode is None:
            one.process.kill()
            await one.process.communicate()


def logged(err: str) -> list[dict[str, Any]]:
    """What a process has logged. gRPC's own core complains in plain text, on a busy machine even of what is well."""
    ours = [
        line for line in err.splitlines() if not re.match(r"[EF]\d{4} |WARNING: All log messages before absl", line)
    ]
    assert all(line.startswith("{") for line in ours), err
    return [json.loads(line) for line in ours]


async def test_not_serving_until_warm_then_serving_with_reflection_and_metrics(start: Any) -> None:
    one = await start()
    await one.reachable()
    assert "not serving" in await check(one.channel, NAME, LONG)
    assert "not serving" in await check(one.channel, "", LONG)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await one.stub.ListVoices(pb.ListVoicesRequest())
    assert str(from_rpc(refused.value)) == "not warm yet"
    await one.warm()
    assert await check(one.channel, "", LONG) == ""
    assert (await one.stub.ListVoices(pb.ListVoicesRequest())).voices[0].name == "one"

    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(one.channel)
    call = reflection.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = [service.name for service in (await call.read()).list_services_response.service]
    assert NAME in listed
    call.cancel()

    one.process.send_signal(signal.SIGTERM)
    code, out, err = await one.ended()
    assert (code, out) == (0, "closed\n")
    lines = logged(err)
    assert [line["message"] for line in lines] == ["serving", "draining", "stopped"]
    assert (lines[0]["host"], lines[0]["port"]) == ("127.0.0.1", one.port)


async def test_metrics_count_requests_by_code(start: Any) -> None:
    metrics = free_port()
    one = await start(metrics_port=str(metrics))
    await one.reachable()
    with pytest.raises(grpc.aio.AioRpcError):
        await one.stub.ListVoices(pb.ListVoicesRequest())
    await one.warm()
    await one.stub.ListVoices(pb.ListVoicesRequest())
    call = await one.stream()
    await call.write(pb.SynthesizeRequest(flush=pb.Flush()))
    assert await call.read() is grpc.aio.EOF
    call = await one.stream()
    call.cancel()
    wanted = {("OK", "2.0"), ("UNAVAILABLE", "1.0"), ("CANCELLED", "1.0")}
    async with asyncio.timeout(LONG):
        while not wanted <= await asyncio.to_thread(counted, metrics):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


def counted(port: int) -> set[tuple[str, str]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LONG) as reply:
        lines = reply.read().decode().splitlines()
    start = 'trunkline_worker_requests_total{code="'
    ours = [line.removeprefix(start) for line in lines if line.startswith(start)]
    return {(line.split('"')[0], line.split()[-1]) for line in ours if 'service="TextToSpeech"' in line}


async def test_sigterm_drains_streams_end_and_the_process_too(start: Any) -> None:
    one = await start()
    await one.warm()
    call = await one.stream()
    watch: Any = health_pb2_grpc.HealthStub(one.channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    one.process.send_signal(signal.SIGTERM)
    assert 5 < (await call.read()).draining.deadline_seconds <= 30
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert "not serving" in await check(one.channel, NAME, LONG)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await one.stub.Synthesize().read()
    assert isinstance(from_rpc(refused.value), Unavailable)
    assert refused.value.details() == "draining"
    await call.write(pb.SynthesizeRequest(phrase=pb.Phrase(phrase_id=1, text="still served")))
    assert (await call.read()).HasField("audio")
    await call.write(pb.SynthesizeRequest(flush=pb.Flush()))
    assert await call.read() is grpc.aio.EOF
    watch.cancel()
    assert (await one.ended())[0] == 0


async def test_a_second_signal_cuts_streams(start: Any) -> None:
    one = await start()
    await one.warm()
    call = await one.stream()
    one.process.send_signal(signal.SIGTERM)
    assert (await call.read()).HasField("draining")
    one.process.send_signal(signal.SIGINT)
    with pytest.raises(grpc.aio.AioRpcError) as cut:
        await call.read()
    assert isinstance(from_rpc(cut.value), Unavailable)
    assert (await one.ended())[:2] == (0, "closed\n")


async def test_the_deadline_cuts_streams(start: Any) -> None:
    one = await start(drain_seconds="1")
    await one.warm()
    call = await one.stream()
    one.process.send_signal(signal.SIGTERM)
    assert (await call.read()).HasField("draining")
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert (await one.ended())[0] == 0


async def test_a_signal_while_warming_up_ends_the_process(start: Any) -> None:
    one = await start()
    await one.reachable()
    one.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.1)
    one.process.stdin.write(b"\n")  # the thread that reads must end before a process can
    code, out, _ = await one.ended()
    assert (code, out) == (0, "closed\n")


@pytest.mark.parametrize(
    ("warm_up", "line"),
    [
        ("missing", f"{NAME} cannot start: no model in /models/none; set TRUNKLINE_EXAMPLE_MODEL"),
        ("bug", f"{NAME} cannot start: ZeroDivisionError: for [number]"),
    ],
)
async def test_a_failed_warm_up_is_one_line_and_exit_code_1(start: Any, warm_up: str, line: str) -> None:
    one = await start(warm_up=warm_up)
    code, out, err = await one.ended()
    assert (code, out) == (1, "closed\n")
    plain = [text for text in err.splitlines() if not text.startswith("{")]
    assert plain == [line]
    assert ("Traceback" in err) == (warm_up == "bug")


@pytest.mark.parametrize("which", ["port", "metrics_port"])
async def test_a_taken_port_is_one_line_and_exit_code_1(start: Any, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        one = await (start(port=taken) if which == "port" else start(port=0, metrics_port=str(taken)))
        code, _, err = await one.ended()
    variable = f"TRUNKLINE_EXAMPLE_{which.upper()}"
    assert code == 1
    assert err == (
        f"cannot listen on 127.0.0.1:{taken}: Address already in use. "
        f"Stop what uses it, or set {variable} or TRUNKLINE_EXAMPLE_HOST.\n"
    )


async def test_a_wrong_setting_is_one_line_and_exit_code_2(start: Any) -> None:
    one = await start(drain_seconds="-1")
    code, _, err = await one.ended()
    assert code == 2
    assert err.startswith("TRUNKLINE_EXAMPLE_DRAIN_SECONDS = '-1': ")
    assert err.count("\n") == 1


async def test_waiting_for_a_worker_that_is_not_there_says_why() -> None:
    channel = connect(f"127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match=rf"{NAME} did not become ready within 3 s: .*connect"):
        await wait_serving(channel, NAME, 3)
    await channel.close()


async def test_a_channel_finds_a_worker_that_is_started_again(start: Any) -> None:
    one = await start()
    await one.warm()
    one.process.kill()
    await one.process.wait()
    assert await check(one.channel, NAME, LONG) != ""
    again = await start(port=one.port)
    await again.warm()
    await wait_serving(one.channel, NAME, LONG)


async def test_a_peer_that_freezes_is_noticed(start: Any) -> None:
    """Within 5 + 2 s; without keepalive it would never be."""
    one = await start()
    await one.warm()
    call = await one.stream()
    one.process.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(LONG):
            with pytest.raises(grpc.aio.AioRpcError) as lost:
                await call.read()
    finally:
        one.process.send_signal(signal.SIGCONT)
    assert isinstance(from_rpc(lost.value), Unavailable)
