"""The whole service on this machine: three workers and the agent, on given or free ports, in a data directory."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp

from agent.http.token import token_path
from agent.tools.appointments import appointments_in
from loadtest.scenario import Appointment
from scripts.ports import free_ports
from scripts.supervisor import Program, Supervisor, Tell
from services.channels import connect, wait_serving
from services.errors import ServiceError

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
WORKERS: Mapping[str, tuple[str, str]] = {
    "stt": ("stt_worker", "trunkline.speech_to_text.v1.SpeechToText"),
    "llm": ("llm_worker", "trunkline.language_model.v1.LanguageModel"),
    "tts": ("tts_worker", "trunkline.text_to_speech.v1.TextToSpeech"),
}
"""name → module, service that its health is asked for."""
_ASK_SECONDS = 0.5
DRAIN_SECONDS = "2"
"""A stack is stopped by somebody who waits in front of it; calls that are up get this long."""


@dataclass(frozen=True)
class Ports:
    """Where everything listens."""

    stt: int
    llm: int
    tts: int
    sip: int
    http: int

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody uses now."""
        first = free_ports(len(fields(cls)), HOST)
        return cls(*range(first, first + len(fields(cls))))

    def worker(self, name: str) -> int:
        """Of a worker by its short name."""
        return {"stt": self.stt, "llm": self.llm, "tts": self.tts}[name]


@dataclass(frozen=True)
class StackOptions:
    """What is to be started."""

    data: Path
    """Records, recordings, calendars, logs."""
    ports: Ports = field(default_factory=Ports.free)
    host: str = HOST
    """Where SIP listens; the workers are for this machine only."""
    http_host: str = HOST
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further TRUNKLINE_… variables; they win."""
    agent_prefix: Sequence[str] = ()
    """Put before the agent's command, such as `taskset -c 0`."""
    worker_prefix: Sequence[str] = ()
    """The same for the workers."""


class Stack:
    """A running service. Made by `running`."""

    def __init__(self, options: StackOptions, tell: Tell) -> None:
        self.options = options
        self.supervisor = Supervisor(
            [*(self._worker(name) for name in WORKERS), self._agent()], options.data / "log", tell
        )

    @property
    def sip_address(self) -> tuple[str, int]:
        """Host and port to send SIP to."""
        return self.options.host, self.options.ports.sip

    @property
    def token(self) -> str:
        """Of the HTTP interface: as given, else the one that the agent made on its first start."""
        given = self.options.environment.get("TRUNKLINE_AGENT_API_TOKEN")
        return given or token_path(self.options.data).read_text(encoding="ascii").strip()

    @property
    def http_address(self) -> str:
        """Root of the HTTP interface."""
        host = HOST if self.options.http_host == "0.0.0.0" else self.options.http_host
        return f"http://{host}:{self.options.ports.http}"

    def appointments(self) -> list[Appointment]:
        """Everything in all calendars, by time."""
        files = sorted((self.options.data / "calendars").glob("*.sqlite"))
        rows = [row for file in files for row in appointments_in(file)]
        return [Appointment(row.name, date.fromisoformat(row.day), row.time) for row in rows]

    async def get(self, path: str) -> Any:
        """JSON of the agent's HTTP interface. Raises aiohttp.ClientError."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(self.http_address, headers=headers, raise_for_status=True) as session,
            session.get(path) as reply,
        ):
            return await reply.json()

    async def metrics(self) -> str:
        """The agent's Prometheus page."""
        async with (
            aiohttp.ClientSession(self.http_address, raise_for_status=True) as session,
            session.get("/metrics") as reply,
        ):
            return await reply.text()

    def _environment(self, **variables: str) -> dict[str, str]:
        """Ours, without TRUNKLINE_… of whoever started us: a stack is what its options say."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
        return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}

    def _given(self, prefix: str) -> dict[str, str]:
        return {name: value for name, value in self.options.environment.items() if name.startswith(prefix)}

    def _worker(self, name: str) -> Program:
        module, service = WORKERS[name]
        prefix = f"TRUNKLINE_{name.upper()}_"
        port = self.options.ports.worker(name)
        variables = {
            f"{prefix}PORT": str(port),
            f"{prefix}HOST": HOST,
            f"{prefix}DRAIN_SECONDS": DRAIN_SECONDS,
            **self._given(prefix),
        }
        ready = _serving(f"{HOST}:{port}", service)
        return Program(name, module, self._environment(**variables), ready, self.options.worker_prefix)

    def _agent(self) -> Program:
        ports = self.options.ports
        variables = {
            "TRUNKLINE_AGENT_STT_TARGETS": f"{HOST}:{ports.stt}",
            "TRUNKLINE_AGENT_LLM_TARGETS": f"{HOST}:{ports.llm}",
            "TRUNKLINE_AGENT_TTS_TARGETS": f"{HOST}:{ports.tts}",
            "TRUNKLINE_AGENT_SIP_ADDRESS": self.options.host,
            "TRUNKLINE_AGENT_SIP_PORT": str(ports.sip),
            "TRUNKLINE_AGENT_HTTP_HOST": self.options.http_host,
            "TRUNKLINE_AGENT_HTTP_PORT": str(ports.http),
            "TRUNKLINE_AGENT_VAR": str(self.options.data),
            "TRUNKLINE_AGENT_AGENTS": str(ROOT / "agents"),
            "TRUNKLINE_AGENT_DRAIN_SECONDS": DRAIN_SECONDS,
            **self._given("TRUNKLINE_AGENT_"),
        }
        program = self._environment(**variables)
        return Program("agent", "agent", program, self._agent_ready, self.options.agent_prefix)

    async def _agent_ready(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=_ASK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self.http_address}/readyz") as reply,
            ):
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def _serving(target: str, service: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        channel = connect(target)
        try:
            await wait_serving(channel, service, _ASK_SECONDS)
        except ServiceError:
            return False
        finally:
            await channel.close()
        return True

    return ask


def _quiet(name: str, what: str) -> None:
    del name, what


@asynccontextmanager
async def running(options: StackOptions, tell: Tell = _quiet) -> AsyncIterator[Stack]:
    """A stack that is ready, stopped at the end. Raises StartFailed."""
    options.data.mkdir(parents=True, exist_ok=True)
    stack = Stack(options, tell)
    await stack.supervisor.start()
    try:
        yield stack
    finally:
        await asyncio.shield(stack.supervisor.stop())
