"""Workers in this process and in processes to be killed; every test also shows that no task and no call is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from agent.clients.workers import Workers
from tests.agent.clients import scripted
from tests.waiting import LONG


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(1000):  # gRPC's own tasks of a call that has ended need some rounds of the loop
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"tasks left: {left}")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may take as long as a busy machine makes them. Tests of what is too slow set what that is."""
    slow = ("workers.OPEN_SECONDS", "workers.HEALTH_SECONDS", "tts.LIST_SECONDS")
    for limit in (*slow, "stt.PATIENCE", "llm.PATIENCE", "tts.PATIENCE"):
        monkeypatch.setattr(f"agent.clients.{limit}", LONG)


@pytest.fixture
async def worker() -> AsyncIterator[Callable[..., Awaitable[scripted.Running]]]:
    """Start a scripted worker: `await worker("stt")`."""
    started: list[scripted.Running] = []

    async def start(kind: str, **how: Any) -> scripted.Running:
        started.append(await scripted.start(kind, **how))
        return started[-1]

    yield start
    for running in started:
        await running.server.stop(0)


@pytest.fixture
async def workers() -> AsyncIterator[Callable[..., Workers]]:
    """The clients' side of some workers: `workers(one, other)`."""
    made: list[Workers] = []

    def make(*running: scripted.Running) -> Workers:
        service = scripted.KINDS[running[0].kind][2]
        made.append(Workers(tuple(one.target for one in running), service))
        return made[-1]

    yield make
    for one in made:
        await one.close()


class Process:
    """A scripted worker in a process of its own."""

    def __init__(self, kind: str, port: int, pace: float) -> None:
        self.kind = kind
        command = [sys.executable, "-m", "tests.agent.clients.scripted", kind, str(port), str(pace)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.target = f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


@pytest.fixture
def process() -> Any:
    """Start a scripted worker that can be killed: `process("stt")`."""
    started: list[Process] = []

    def start(kind: str, port: int = 0, pace: float = 0.0) -> Process:
        started.append(Process(kind, port, pace))
        return started[-1]

    yield start
    for one in started:
        one.close()
