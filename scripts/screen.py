"""What `make call` shows: the talk as it goes on, then where the time of each turn went, and the calendar."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from loadtest.performance import RATE, Event
from loadtest.report import drawn, waterfall
from loadtest.scenario import Appointment
from loadtest.wire import WireTurn
from scripts.stack import Stack

_POLL_SECONDS = 0.3
_BAR_WIDTH = 40
_COLOURS = {
    "end_of_turn": "blue",
    "transcript": "cyan",
    "language_model": "magenta",
    "tool": "yellow",
    "phrase": "white",
    "speech": "green",
    "playout": "red",
}


class LiveCall:
    """Prints each line of the talk with its time; below them, what is going on now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Spinner("dots", "ringing"), console=console, transient=True, refresh_per_second=8)
        self._shown: set[int] = set()
        self._agent_started = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def caller_event(self, event: Event) -> None:
        """The caller did or heard something."""
        if event.kind in ("say", "interrupt", "backchannel"):
            how = {"say": "", "interrupt": " (talking over the agent)", "backchannel": " (while the agent speaks)"}
            self._line(event.at / RATE, "caller", event.text + how[event.kind])
        if event.kind == "agent_started":
            self._agent_started = event.at / RATE
        now = {
            "agent_started": "the agent is speaking",
            "agent_finished": "the agent has finished",
            "say": "the caller is speaking",
            "interrupt": "the caller is speaking",
            "done": "the caller waits for the agent to hang up",
        }.get(event.kind)
        if now:
            self._live.update(Spinner("dots", now))

    async def follow(self, stack: Stack) -> None:
        """Print what the agent says and does, from its record, until cancelled."""
        while True:
            try:
                listed = (await stack.get("/calls?limit=1"))["calls"]
                if listed:
                    self.agent_lines(await stack.get(f"/calls/{listed[0]['id']}"))
            except (aiohttp.ClientError, TimeoutError):
                self._live.update(Spinner("dots", "the agent's HTTP interface does not answer"))
            await asyncio.sleep(_POLL_SECONDS)

    def agent_lines(self, record: Mapping[str, Any]) -> None:
        """Print the turns of the record that are new."""
        for turn in record["turns"]:
            text = turn["agent_heard"]
            if text and turn["index"] not in self._shown:
                self._shown.add(turn["index"])
                at = turn["marks"].get("agent_started", self._agent_started)
                self._line(at, "agent", text + (" …" if turn["interrupted"] else ""))

    def _line(self, at: float, who: str, text: str) -> None:
        colour = "green" if who == "agent" else "cyan"
        self._console.print(f"{at:6.1f} s  [{colour}]{who:6}[/]  {text}", highlight=False)


def nearest(record: Mapping[str, Any], wire: WireTurn, began: float) -> Mapping[str, Any] | None:
    """The turn of the agent's record that is this one on the line, by when the caller stopped; None within 1 s."""
    measured = [turn for turn in record["turns"] if turn["latency"] is not None]
    at = wire.caller_stopped - began
    turn = min(measured, key=lambda turn: abs(turn["marks"]["caller_stopped"] - at), default=None)
    return turn if turn is not None and abs(turn["marks"]["caller_stopped"] - at) < 1.0 else None


def show_waterfall(console: Console, record: Mapping[str, Any], wire: Sequence[WireTurn], began: float) -> None:
    """A bar per stage of each turn, with the agent's own latency and the line's."""
    measured = [turn for turn in record["turns"] if turn["latency"] is not None]
    scale = max((turn["latency"] for turn in measured), default=0.0)
    on_the_line = {turn["index"]: one for one in wire if (turn := nearest(record, one, began)) is not None}
    console.print(
        "\n[bold]Where the time went[/], from the caller's last voiced sample to the agent's first audible one"
    )
    for turn in measured:
        one = on_the_line.get(turn["index"])
        line = (
            f"{one.latency * 1000:.0f} ms at the relay" if one and one.latency is not None else "not seen at the relay"
        )
        console.print(f"  “{turn['caller']}”  [bold]{turn['latency'] * 1000:.0f} ms[/], {line}", highlight=False)
        for bar in waterfall(turn["stages"]):
            drawing = f"[{_COLOURS.get(bar.stage, 'white')}]{drawn(bar, scale, _BAR_WIDTH)}[/]"
            console.print(
                f"    {bar.stage.replace('_', ' '):15}{bar.seconds * 1000:5.0f} ms  {drawing}", highlight=False
            )


def show_calendar(console: Console, appointments: Sequence[Appointment]) -> None:
    """Every appointment."""
    table = Table(title="Calendar")
    for heading in ("day", "time", "name"):
        table.add_column(heading)
    for entry in appointments:
        table.add_row(f"{entry.day:%A}, {entry.day}", entry.time, entry.name)
    console.print(table if appointments else "[bold]Calendar[/]   empty")
