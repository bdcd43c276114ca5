"""The agents of a practice whose calls are recorded, held and handed on, and their files."""

import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agent.audio import Samples, level_dbfs
from loadtest.performance import RATE

DESK = """
name = "{name}"
numbers = ["{name}"]
prompt = "You answer the telephone of Harbour Street Practice."
greeting = "Hello, this is Harbour Street Practice. How can I help you?"
tools = ["take_message", "collect_digits", "end_call"{tools}]

[[expecting]]
after = '\\bnumber\\b[^.]*\\?|\\bdigits\\b'
answer = "number"

[limits]
silence_seconds = {silence}
silence_prompts = 1
call_seconds = {longest}
{more}
"""
RECORDED = """
[recording]
enabled = true
consent = "{consent}"
announcement = "{announcement}"
opt_out_phrases = ["don't record", "do not record"]
"""
ENDED = """
[ended]
url = "{url}"
secret_variable = "TEST_WEBHOOK_KEY"
"""


def write(folder: Path, name: str, more: str = "", tools: str = "", silence: float = 6, longest: float = 600) -> None:
    """The file of one agent, called by its name."""
    folder.mkdir(exist_ok=True)
    text = DESK.format(name=name, tools=tools, silence=silence, longest=longest, more=more)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def recorded(consent: str, announcement: str) -> str:
    """The table of a recorded agent."""
    return RECORDED.format(consent=consent, announcement=announcement)


def scenario(path: Path, *steps: str, head: str = "", end: str = 'ended_by = "agent"') -> str:
    """Write a scenario of steps, each a line of TOML or several; returns its path as text."""
    body = "".join(f"[[step]]\n{step}\n" for step in steps)
    path.write_text(f'title = "A test"\n{head}\n{body}[expect]\n{end}\n', encoding="utf-8")
    return str(path)


def audible(sound: Samples, begin: float, end: float) -> float:
    """Share of the 20 ms steps between two times, in seconds, that are louder than -48 dBFS."""
    part = sound[round(begin * RATE) : round(end * RATE)]
    steps = part[: len(part) // 160 * 160].reshape(-1, 160)
    return float(np.mean([level_dbfs(step) > -48 for step in steps])) if len(steps) else 0.0


def recording(data: Path, record: Mapping[str, Any]) -> Samples | None:
    """The agent's own recording of a call, from its data directory: samples × (caller, agent); None without one."""
    found = list((data / "recordings").glob(f"**/*{record['id']}*"))
    if not found:
        return None
    with wave.open(str(found[0]), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).reshape(-1, 2)


def at(record: Mapping[str, Any], kind: str) -> list[tuple[float, dict[str, Any]]]:
    """The events of a kind: seconds since the call connected, and what they say."""
    return [(event["at"], event["data"]) for event in record["events"] if event["kind"] == kind]


def outcomes(record: Mapping[str, Any]) -> list[str]:
    """How the turns of a call ended."""
    return [turn["outcome"] for turn in record["turns"]]
