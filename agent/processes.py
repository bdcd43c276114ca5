"""Several agent processes on one machine: the same settings, ports of their own, started again when they die."""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping

from agent.settings import AgentSettings

log = logging.getLogger(__name__)

_RESTART_AFTER = 1.0


def environment(settings: AgentSettings, environ: Mapping[str, str], index: int) -> dict[str, str]:
    """The environment of process `index` (from 0): one process, its own ports, an even share of the RTP range."""
    low, high = map(int, settings.rtp_ports.split("-"))
    share = (high - low + 1) // settings.processes // 2 * 2
    first = low + index * share
    own = {
        "PROCESSES": "1",
        "SIP_PORT": str(settings.sip_port + 2 * index),
        "HTTP_PORT": str(settings.http_port + index if settings.http_port else 0),
        "RTP_PORTS": f"{first}-{first + share - 1}",
    }
    return {**environ, **{settings.prefix + name: value for name, value in own.items()}}


async def serve_many(settings: AgentSettings, environ: Mapping[str, str]) -> int:
    """Run `settings.processes` agents until SIGTERM or SIGINT, which they get, too. The exit code is 0."""
    stopping = asyncio.Event()
    running: dict[int, asyncio.subprocess.Process] = {}

    def pass_on(number: signal.Signals) -> None:
        stopping.set()
        for process in running.values():
            if process.returncode is None:
                process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, pass_on, number)
    try:
        async with asyncio.TaskGroup() as group:
            for index in range(settings.processes):
                group.create_task(_keep(index, environment(settings, environ, index), running, stopping))
    finally:
        pass_on(signal.SIGTERM)  # whatever happens here, no child is left behind
    return 0


async def _keep(
    index: int, environ: Mapping[str, str], running: dict[int, asyncio.subprocess.Process], stopping: asyncio.Event
) -> None:
    while not stopping.is_set():
        running[index] = await asyncio.create_subprocess_exec(sys.executable, "-m", "agent", "serve", env=environ)
        code = await running[index].wait()
        if not stopping.is_set():
            log.error("an agent process ended; starting it again", extra={"index": index, "code": code})
            await asyncio.sleep(_RESTART_AFTER)
