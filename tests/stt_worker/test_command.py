"""The process: settings, a missing model, serving and draining, transcribing a file."""

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import grpc
import numpy as np

from protos import speech_to_text_pb2_grpc
from scripts.ports import free_port
from services.channels import connect, wait_serving
from stt_worker.build import NAME
from tests.stt_worker.calling import FINAL, RATE, Phone, silence, speech
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    environment = os.environ | {f"TRUNKLINE_STT_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "stt_worker", *arguments],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def write_wav(path: Path, samples: np.ndarray, channels: int = 1, width: int = 2) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return str(path)


def test_help_names_every_setting() -> None:
    out, _ = command("--help").communicate(timeout=LONG)
    assert "TRUNKLINE_STT_DECODERS=" in out
    assert "transcribe" in out


def test_a_wrong_setting_is_one_line_and_exit_code_2() -> None:
    process = command(decoders="none")
    _, error = process.communicate(timeout=LONG)
    assert process.returncode == 2
    assert error.startswith("TRUNKLINE_STT_DECODERS = 'none'")
    assert error.count("\n") == 1


def test_a_missing_model_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    process = command(model=str(tmp_path / "nowhere"), log_level="error")
    _, error = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "nowhere: not a Whisper model" in error
    assert error.count("\n") == 1


def test_transcribe_prints_text_or_words(tmp_path: Path) -> None:
    talk = np.concatenate([silence(0.5), speech(0.85), silence(0.5)])
    stereo = write_wav(tmp_path / "two.wav", np.stack([talk, np.zeros_like(talk)], axis=1), channels=2)
    out, _ = command("transcribe", stereo, engine="scripted").communicate(timeout=LONG)
    assert out == "i would\n"
    out, _ = command("transcribe", stereo, "--words", engine="scripted").communicate(timeout=LONG)
    rows = [line.split() for line in out.splitlines()]
    assert [row[3] for row in rows] == ["i", "would"]
    assert 0.4 < float(rows[0][0]) < float(rows[0][1]) <= float(rows[1][1]) < 1.5


def test_transcribe_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all")
    narrow = write_wav(tmp_path / "narrow.wav", np.zeros(800, np.uint8), width=1)
    for path, problem in (
        (str(tmp_path / "none.wav"), "No such file"),
        (str(tmp_path / "text.wav"), "not a WAV file"),
        (narrow, "8 bits at 8000 Hz"),
    ):
        process = command("transcribe", path, engine="scripted")
        _, error = process.communicate(timeout=LONG)
        assert process.returncode == 1
        assert problem in error
        assert error.count("\n") == 1


async def test_it_serves_and_drains_when_told() -> None:
    port = free_port()
    process = command(engine="scripted", port=str(port), drain_seconds="20")
    try:
        async with connect(f"127.0.0.1:{port}") as channel:
            await wait_serving(channel, NAME, timeout=LONG)
            phone = Phone(speech_to_text_pb2_grpc.SpeechToTextStub(channel).Recognize())
            await phone.open(conversation_id="c2")
            await phone.say(np.concatenate([speech(0.85), silence(0.2)]))
            process.send_signal(signal.SIGTERM)
            response = await phone.read()
            assert response is not None
            assert 5 < response.draining.deadline_seconds <= 20
            await phone.ask(1, FINAL)
            assert (await phone.transcript()).text == "i would"
            late = Phone(speech_to_text_pb2_grpc.SpeechToTextStub(channel).Recognize())
            assert (await late.failure())[0] is grpc.StatusCode.UNAVAILABLE
            await phone.hang_up()
            assert await phone.read() is None
        _, error = process.communicate(timeout=LONG)
        assert process.returncode == 0
        assert '"conversation' not in error
        assert "would" not in error  # no spoken word in a log
        assert '"call_id": "c2"' in error
    finally:
        process.kill()
