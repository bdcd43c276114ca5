"""The caller's account of a call, and how its command line ends."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from loadtest import caller
from loadtest.caller import Report, complaints
from loadtest.performance import Event
from loadtest.phone import Recording
from loadtest.scenario import Appointment, expected_appointment, parse
from loadtest.scenarios import load
from loadtest.verdict import CallFacts, booking_complaints
from loadtest.verdict import complaints as call_complaints
from scripts.ports import free_port
from tests.waiting import LONG

SCENARIO = parse('title = "x"\n[[step]]\nsay = "Hi."\n[expect]\nended_by = "agent"', "x")
SUNDAY = date(2026, 11, 22)


def told(*kinds: str, ended_by: str = "agent") -> Report:
    events = tuple(Event(kind, n) for n, kind in enumerate(kinds))  # type: ignore[arg-type]
    return Report("x", 1.5, ended_by, "gave_up" in kinds, events)


@pytest.mark.parametrize(
    ("report", "complaint"),
    [
        (told("say", "done"), None),
        (told("say", "done", ended_by="caller"), "ended by the caller"),
        (told("say"), "before the caller had said everything"),
        (told("say", "gave_up", ended_by="caller"), "said nothing for 15 s"),
    ],
)
def test_what_a_phone_can_complain_of(report: Report, complaint: str | None) -> None:
    wrong = complaints(SCENARIO, report)
    assert (complaint is None) == (not wrong)
    assert complaint is None or complaint in wrong[0]


def test_the_account_reads_back_as_written(tmp_path: Path) -> None:
    report = told("say", "done")
    said, heard = np.arange(5, dtype=np.int16), np.arange(5, 10, dtype=np.int16)
    caller.write(tmp_path, report, Recording(said, heard, 1.5, False))
    again, left, right = caller.read(tmp_path)
    assert again == report
    assert left.tolist() == said.tolist()
    assert right.tolist() == heard.tolist()


def _run(*arguments: str) -> tuple[int, list[str]]:
    process = subprocess.run(
        [sys.executable, "-m", "loadtest.caller", *arguments],
        capture_output=True,
        text=True,
        timeout=2 * LONG,
        check=False,
    )  # fmt: skip
    return process.returncode, process.stderr.splitlines()


def test_a_mistake_in_the_scenario_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    scenario = tmp_path / "wrong.toml"
    scenario.write_text('title = "x"\n[[step]]\nshout = "Hi."')
    code, lines = _run(str(scenario), "--to", "sip:a@127.0.0.1:1")
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("wrong.toml: step 1: needs exactly one of")


@pytest.mark.models
def test_nobody_there_is_exit_code_3(tmp_path: Path) -> None:
    port = free_port()
    code, lines = _run("question", "--to", f"sip:a@127.0.0.1:{port}", "--out", str(tmp_path), "--ring", "1")
    assert code == 3
    assert lines[-1].startswith("no call: ")


@pytest.mark.models
def test_nobody_calls_is_exit_code_3(tmp_path: Path) -> None:
    code, lines = _run("question", "--answer", str(free_port()), "--out", str(tmp_path), "--ring", "0.5")
    assert code == 3
    assert lines[-1] == "no call: nobody called in 0.5 s"


def facts(*appointments: Appointment, heard: str = "Wednesday at 10:30 AM.") -> CallFacts:
    return CallFacts("Wednesday at 10:30 AM.", heard, ("Wednesday", "ten thirty"), appointments)


def test_verdict_of_a_booking() -> None:
    scenario = load("booking")
    expected = expected_appointment(scenario, SUNDAY)
    right = Appointment("sarah miller", date(2026, 11, 25), "10:30")
    assert call_complaints(scenario, expected, facts(right)) == []
    assert "holds nothing" in call_complaints(scenario, expected, facts())[0]
    wrong = call_complaints(scenario, expected, facts(right, heard="When is it at 10:30 AM?"))
    assert [line.split("'")[0] for line in wrong] == ["the caller did not hear ", wrong[1]]
    assert "word error" in wrong[1]


@pytest.mark.parametrize(
    "found",
    [
        [Appointment("Sarah Miller", date(2026, 11, 24), "10:30")],
        [Appointment("Sarah Miller", date(2026, 11, 25), "10:00")],
        [Appointment("Sara Miler", date(2026, 11, 25), "10:30")],
        [Appointment("Sarah Miller", date(2026, 11, 25), "10:30")] * 2,
    ],
)
def test_any_other_calendar_is_wrong(found: list[Appointment]) -> None:
    assert booking_complaints(Appointment("Sarah Miller", date(2026, 11, 25), "10:30"), found)


def test_nothing_may_be_booked_by_a_question() -> None:
    entry = Appointment("Sarah Miller", date(2026, 11, 25), "10:30")
    scenario = load("question")
    empty = CallFacts("Monday.", "Monday.", ("monday",), ())
    assert call_complaints(scenario, None, empty) == []
    assert call_complaints(scenario, None, CallFacts("Monday.", "Monday.", ("monday",), (entry,)))
