"""The agent process: `python -m agent` serves calls, `check` reads the agents' files, `dial` places a call."""

import os

# The turn model's features are matrix products that would otherwise wake a thread on every core. Read when numpy is
# loaded, hence before it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from agent.assembly import serve
from agent.dialling import dial
from agent.directory import load_agents
from agent.errors import StartError
from agent.processes import serve_many
from agent.settings import AgentSettings
from agent.telephony.sip import SipError
from services.telemetry import configure_logging


def main() -> None:
    """Exit codes: 0 done, 1 cannot start or was refused, 2 wrong settings or arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m agent",
        description=__doc__,
        epilog=AgentSettings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="take calls until stopped (the default)")
    check = commands.add_parser("check", help="read every agent's file and say what is wrong with it")
    check.add_argument("directory", type=Path, nargs="?", help="default: the setting AGENTS")
    call = commands.add_parser("dial", help="have the running agent call a number")
    call.add_argument("number", help="number or SIP address; DIAL_ALLOW says what is allowed")
    call.add_argument("--agent", default="frontdesk", help="which agent talks (default: frontdesk)")
    arguments = parser.parse_args()
    settings = AgentSettings.read_or_exit()
    configure_logging(settings.log_level, settings.log_words)
    try:
        match arguments.command:
            case "check":
                directory = load_agents(arguments.directory or settings.agents)
                sys.stdout.write(f"{len(directory.agents)} agents, no mistakes: {', '.join(directory.agents)}\n")
            case "dial":
                call_id = asyncio.run(dial(settings, arguments.number, arguments.agent))
                sys.stdout.write(f"{call_id}\n")
            case _ if settings.processes > 1:
                sys.exit(asyncio.run(serve_many(settings, os.environ)))
            case _:
                uvloop.run(serve(settings))
    except (StartError, SipError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
