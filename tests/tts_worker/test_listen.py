"""The seam tool: what it looks at, what it says, and its exit code."""

import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tts_worker.listen import Trial, try_engine, try_recording
from tts_worker.scripted import ScriptedEngine
from tts_worker.studio import Studio

TRIAL = Trial(("The first phrase.", "And a second one."), resume=True, voice="", language="", rate=24_000, seed=1)


def outcome(work: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code, and the lines of what was written."""
    with pytest.raises(SystemExit) as left:
        work()
    said = capsys.readouterr()
    return int(str(left.value.code)), (said.out + said.err).splitlines()


def tried(
    engine: Callable[[], ScriptedEngine], trial: Trial, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[str]]:
    return outcome(lambda: try_engine(lambda: Studio(engine, 1, 4), trial), capsys)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_every_kind_of_join_is_looked_at(rate: int, capsys: pytest.CaptureFixture[str]) -> None:
    trial = replace(TRIAL, phrases=("word " * 40, "And a second one."), rate=rate)
    code, lines = tried(ScriptedEngine, trial, capsys)
    assert code == 0
    assert [line.split("  ")[0].strip() for line in lines[1:]] == [
        "beginning",
        "phrase 1, piece to piece",
        "phrase 1 to 2",
        "end",
        "phrase 1, worker to worker (identical)",
        "phrase 2, worker to worker (identical)",
    ]
    assert all(line.endswith("cannot be heard") for line in lines[1:])


class Clicking(ScriptedEngine):
    """Cuts its hum off at full swing."""

    def step(self, speeches: Any) -> Any:
        pieces = super().step(speeches)
        for piece in pieces:
            piece.samples[-2000:] = 0.5
        return pieces


def test_clicks_are_found_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = tried(Clicking, replace(TRIAL, resume=False), capsys)
    assert code == 1
    assert ["a click" in line for line in lines[1:]] == [False, True, True]


class Louder(ScriptedEngine):
    """Twelve decibels."""

    def step(self, speeches: Any) -> Any:
        return [replace(piece, samples=4 * piece.samples) for piece in super().step(speeches)]


def test_a_second_worker_that_says_something_else_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    workers = iter((ScriptedEngine, Louder))
    code, lines = tried(lambda: next(workers)(), TRIAL, capsys)
    assert code == 1
    assert "differs by" in lines[-1]
    assert "a jump in level" in lines[-1]


def recording(folder: Path) -> Path:
    """A click in the middle of a second of a tone."""
    samples = 9000 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000)
    samples[8000:] += 9000
    path = folder / "tone.wav"
    with path.open("wb") as target, wave.open(target, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.repeat(samples.astype("<i2"), 2).tobytes())
    return path


def test_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path)
    code, lines = outcome(lambda: try_recording(path, [0.25, 0.5]), capsys)
    assert code == 1
    assert ["a click" in line for line in lines[1:]] == [False, True]
    assert outcome(lambda: try_recording(path, [0.25]), capsys)[0] == 0


@pytest.mark.parametrize(
    ("name", "places", "words"),
    [
        ("tone.wav", [], "needs --at"),
        ("tone.wav", [1.5], "--at 1.5: the recording is 1.000 s long"),
        ("none.wav", [0.5], "none.wav: No such file"),
        ("text.wav", [0.5], "text.wav is no WAV file of 16 bit PCM"),
    ],
)
def test_what_cannot_be_looked_at(
    name: str, places: list[float], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path)
    (tmp_path / "text.wav").write_text("no sound at all", encoding="utf-8")
    code, (line,) = outcome(lambda: try_recording(tmp_path / name, places), capsys)
    assert code == 2
    assert words in line


def test_what_cannot_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    code, (line,) = tried(ScriptedEngine, replace(TRIAL, phrases=("",)), capsys)
    assert code == 2
    assert "phrase.text: 0 code points" in line
