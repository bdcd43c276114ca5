"""What `make call` prints."""

import io
from datetime import date

from rich.console import Console

from loadtest.performance import Event
from loadtest.scenario import Appointment
from loadtest.wire import WireTurn
from scripts.screen import LiveCall, show_calendar, show_waterfall

TURN = {
    "index": 1,
    "caller": "What are your opening hours?",
    "agent_heard": "From eight to five.",
    "interrupted": False,
    "latency": 0.5,
    "stages": {"end_of_turn": 0.3, "transcript": 0.0, "speech": 0.2},
    "marks": {"caller_stopped": 4.0, "agent_started": 4.5},
}
GREETING = {"index": 0, "caller": "", "agent_heard": "Hello.", "interrupted": False, "latency": None, "marks": {}}


def console() -> Console:
    return Console(record=True, width=120, color_system=None, file=io.StringIO())


def test_waterfall_has_both_latencies_and_a_bar_per_stage() -> None:
    screen = console()
    wire = WireTurn("say", "What are your opening hours?", 102.0, 104.1, None, 104.61)
    show_waterfall(screen, {"turns": [GREETING, TURN]}, [wire], began=100.0)
    text = screen.export_text()
    assert "“What are your opening hours?”  500 ms, 510 ms at the relay" in text
    bars = [line for line in text.splitlines() if "█" in line]
    assert [line.split()[0] for line in bars] == ["end", "speech"]
    assert bars[1].index("█") > bars[0].index("█")


def test_a_turn_that_the_relay_did_not_see_says_so() -> None:
    screen = console()
    show_waterfall(screen, {"turns": [TURN]}, [], began=100.0)
    assert "not seen at the relay" in screen.export_text()


def test_talk_is_printed_line_by_line_with_times() -> None:
    screen = console()
    with LiveCall(screen) as live:
        live.caller_event(Event("agent_started", 800))
        live.agent_lines({"turns": [GREETING]})
        live.caller_event(Event("say", 16000, 30000, "What are your opening hours?"))
        live.agent_lines({"turns": [GREETING, TURN]})
        live.caller_event(Event("interrupt", 40000, 50000, "Sorry?"))
    lines = [line.strip() for line in screen.export_text().splitlines() if " s  " in line]
    assert lines == [
        "0.1 s  agent   Hello.",
        "2.0 s  caller  What are your opening hours?",
        "4.5 s  agent   From eight to five.",
        "5.0 s  caller  Sorry? (talking over the agent)",
    ]


def test_calendar() -> None:
    screen = console()
    show_calendar(screen, [Appointment("Sarah Miller", date(2026, 11, 25), "10:30")])
    assert "Wednesday, 2026-11-25" in screen.export_text()
    show_calendar(screen, [])
    assert "empty" in screen.export_text()
