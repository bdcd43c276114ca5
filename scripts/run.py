"""`make run`: the three workers and the agent stay up until Ctrl-C; what dies is started again."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from scripts.ports import machine_address
from scripts.stack import HOST, ROOT, Ports, Stack, StackOptions
from scripts.supervisor import StartFailed

DATA = ROOT / "var"


def options(environment: dict[str, str]) -> StackOptions:
    """From TRUNKLINE_… variables, which reach the processes unchanged. Raises ValueError: a port that is no number."""

    def port(name: str, usual: int) -> int:
        text = environment.get(name, str(usual))
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise ValueError(f"{name}={text!r}: a port is a number from 1 to 65535")
        return int(text)

    host = environment.get("TRUNKLINE_AGENT_SIP_ADDRESS") or machine_address()
    # A softphone on this machine offers its sound at the network card's address, so that is where to listen; who may
    # call is another setting, and by default only this machine may.
    trunks = {"TRUNKLINE_AGENT_SIP_TRUNKS": f"127.0.0.0/8,{host}"}
    given = {name: value for name, value in environment.items() if name.startswith("TRUNKLINE_")}
    return StackOptions(
        data=Path(environment.get("TRUNKLINE_AGENT_VAR", DATA)).resolve(),
        ports=Ports(
            stt=port("TRUNKLINE_STT_PORT", 7001),
            llm=port("TRUNKLINE_LLM_PORT", 7002),
            tts=port("TRUNKLINE_TTS_PORT", 7003),
            sip=port("TRUNKLINE_AGENT_SIP_PORT", 5060),
            http=port("TRUNKLINE_AGENT_HTTP_PORT", 8080),
        ),
        host=host,
        http_host=environment.get("TRUNKLINE_AGENT_HTTP_HOST", HOST),
        environment={**trunks, **given},
    )


def how_to_call(stack: Stack) -> str:
    """What to type into a softphone, and where to look afterwards."""
    host, port = stack.sip_address
    lines = [
        f"[bold]Call it[/]   sip:frontdesk@{host}:{port}  with a softphone on this machine: no account, no password; "
        "UDP or TCP; G.722, PCMU, PCMA or Opus. Or: make call",
        f"[bold]Look[/]      {stack.http_address}/calls",
        f"          Authorization: Bearer {stack.token}",
        f"[bold]Records[/]   {stack.options.data}   [bold]logs[/]  {stack.options.data / 'log'}/*.log",
        "[bold]Others[/]    may call once TRUNKLINE_AGENT_SIP_TRUNKS names their network, such as 192.168.1.0/24",
    ]
    return "\n".join([*lines, "Ctrl-C stops."])


async def serve(console: Console, chosen: StackOptions) -> None:
    """Until SIGINT or SIGTERM. Raises StartFailed."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chosen.data.mkdir(parents=True, exist_ok=True)
    stack = Stack(chosen, lambda name, what: console.print(f"  {name:6} {what}", highlight=False))
    stopped = asyncio.create_task(stop.wait())
    with console.status("starting"):
        starting = asyncio.create_task(stack.supervisor.start())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return
    starting.result()
    console.print(how_to_call(stack), highlight=False, soft_wrap=True)
    watching = asyncio.create_task(stack.supervisor.watch())
    await stopped
    console.print("stopping")
    watching.cancel()
    await stack.supervisor.stop()


def main() -> int:
    """0 after Ctrl-C, 1 when something does not start, 2 for a wrong setting."""
    console = Console()
    try:
        asyncio.run(serve(console, options(dict(os.environ))))
    except ValueError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 2
    except StartFailed as error:
        console.print(f"[red]not started[/]  {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
