"""Starts the processes of a service, waits until they are ready, starts again what dies, and stops them in order.

Restarting is for `make run`; a benchmark or a test wants to see that something died.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
"""From SIGTERM to SIGKILL."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
STABLE_SECONDS = 60.0
"""A process that lived this long is started again without delay to speak of."""
_LOG_TAIL_BYTES = 20_000
_SETPRIV = shutil.which("setpriv")
_NOT_ALONE = (_SETPRIV, "--pdeathsig", "TERM") if _SETPRIV else ()
"""A supervisor that is killed cannot stop what it started: the kernel then asks them to, where util-linux is."""


@dataclass(frozen=True)
class Program:
    """One process: `python -m module` with these variables on top of the environment."""

    name: str
    module: str
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    """Asked again and again until it says yes."""
    command_prefix: Sequence[str] = ()
    """Put before the command, such as `taskset -c 0`."""


class StartFailed(Exception):
    """A process did not come up; the text says which and why, from its own log."""


@dataclass
class Backoff:
    """PURE: how long to wait before starting again: doubling while a process keeps dying young."""

    _next: float = FIRST_DELAY

    def delay(self, lived: float) -> float:
        """Seconds to wait after a life of `lived` seconds."""
        if lived >= STABLE_SECONDS:
            self._next = FIRST_DELAY
        now, self._next = self._next, min(self._next * 2, LONGEST_DELAY)
        return now


@dataclass
class _Running:
    """A program and its process of the moment."""

    program: Program
    log: Path
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    log_start: int = 0
    """Bytes that earlier lives have written to the log."""
    restarts: int = 0
    backoff: Backoff = field(default_factory=Backoff)


Tell = Callable[[str, str], None]
"""Name of a program, and what happened to it."""


class Supervisor:
    """Owns the processes of `programs`. Logs go to `logs`/<name>.log."""

    def __init__(self, programs: Sequence[Program], logs: Path, tell: Tell) -> None:
        self._tell = tell
        self._running = {program.name: _Running(program, logs / f"{program.name}.log") for program in programs}
        logs.mkdir(parents=True, exist_ok=True)

    async def start(self) -> None:
        """Start everything at once and return when all are ready. Raises StartFailed; nothing is left running then."""
        up = False
        try:
            async with asyncio.TaskGroup() as group:
                for running in self._running.values():
                    group.create_task(self._bring_up(running))
            up = True
        except ExceptionGroup as failures:
            failed, _ = failures.split(StartFailed)
            raise (failed or failures).exceptions[0] from None
        finally:
            if not up:
                await self.stop()

    async def watch(self) -> None:
        """Start again whatever dies, for ever."""
        async with asyncio.TaskGroup() as group:
            for running in self._running.values():
                group.create_task(self._keep_up(running))

    async def stop(self) -> None:
        """SIGTERM in reverse order of the programs, SIGKILL where that is not enough."""
        for running in reversed(self._running.values()):
            await self._end(running)

    def pid(self, name: str) -> int | None:
        """Of a program that runs."""
        process = self._running[name].process
        return process.pid if process is not None and process.returncode is None else None

    def log(self, name: str) -> Path:
        """Where a program's lines go."""
        return self._running[name].log

    def died(self) -> list[str]:
        """Names of programs that were started and run no more."""
        return [
            name
            for name, one in self._running.items()
            if one.process is not None and one.process.returncode is not None
        ]

    def peak_bytes(self) -> dict[str, int]:
        """The most memory that each running program has had (VmHWM; pages that processes share count for each)."""
        return {name: peak_bytes(pid) for name in self._running if (pid := self.pid(name)) is not None}

    async def _bring_up(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        await self._spawn(running)
        self._tell(running.program.name, "starting")
        while not await running.program.ready():
            if running.process is not None and running.process.returncode is not None:
                why = why_it_ended(running.log, running.process.returncode, running.log_start)
                raise StartFailed(f"{running.program.name}: {why}")
            if loop.time() - running.started > READY_SECONDS:
                raise StartFailed(f"{running.program.name}: not ready after {READY_SECONDS:g} s; see {running.log}")
            await asyncio.sleep(0.1)
        self._tell(running.program.name, f"ready after {loop.time() - running.started:.1f} s")

    async def _spawn(self, running: _Running) -> None:
        program = running.program
        with running.log.open("ab") as log:
            running.log_start = log.tell()
            # A session of its own: Ctrl-C reaches this process only, which then stops the others in order.
            running.process = await asyncio.create_subprocess_exec(
                *_NOT_ALONE, *program.command_prefix, sys.executable, "-m", program.module,
                env=dict(program.environment), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        running.started = asyncio.get_running_loop().time()

    async def _keep_up(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        while True:
            assert running.process is not None
            code = await running.process.wait()
            delay = running.backoff.delay(loop.time() - running.started)
            reason = why_it_ended(running.log, code, running.log_start)
            self._tell(running.program.name, f"ended: {reason}; starting again in {delay:g} s")
            await asyncio.sleep(delay)
            running.restarts += 1
            await self._spawn(running)

    async def _end(self, running: _Running) -> None:
        process = running.process
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
                break
        self._tell(running.program.name, "stopped")


def why_it_ended(log: Path, code: int, since: int = 0) -> str:
    """The line that explains it: the last plain one (what a process says as it gives up), else the last error. Bytes
    before `since` are of earlier lives."""
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _LOG_TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    for line in reversed(lines):
        if not line.startswith("{"):
            return line
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("level") == "error":
                return str(entry.get("message"))
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{ended}; see {log}"


def peak_bytes(pid: int) -> int:
    """The most resident memory a process has had; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
