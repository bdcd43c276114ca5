"""`python -m tts_worker` as an operator meets it."""

import asyncio
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import grpc
import pytest

from protos import text_to_speech_pb2_grpc
from scripts.ports import free_port
from services.channels import connect, wait_serving
from tests.tts_worker.harness import opening, phrase
from tests.waiting import LONG

NAME = "trunkline.text_to_speech.v1.TextToSpeech"


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {f"TRUNKLINE_TTS_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "tts_worker", *arguments], env=environment, capture_output=True, text=True, timeout=LONG
    )


def test_help_names_commands_and_settings() -> None:
    text = command("--help").stdout
    for word in ("serve", "say", "voices", "TRUNKLINE_TTS_ENGINE", "TRUNKLINE_TTS_MAX_STREAMS", "scripted"):
        assert word in text


def test_say_writes_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    result = command("say", "Hello there.", str(target), "--rate", "8000", "--speed", "1.5", engine="scripted")
    assert result.returncode == 0, result.stderr
    with wave.open(str(target)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() > 4000


def test_seams_of_the_engine_that_is_set() -> None:
    result = command("seams", "Hello there.", "And more.", "--resume", "--rate", "8000", engine="scripted")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("cannot be heard") == 5


def test_voices_are_listed() -> None:
    assert command("voices", engine="scripted").stdout.startswith("heart  en-US")


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "words"),
    [
        (["say", "", "x.wav"], {"engine": "scripted"}, 1, "phrase.text: 0 code points"),
        (["say", "x", "/nowhere/x.wav"], {"engine": "scripted"}, 1, "cannot write /nowhere/x.wav"),
        (["say", "x", "x.wav", "--voice", "emma"], {"engine": "scripted"}, 1, "valid: heart"),
        (
            ["say", "x", "x.wav", "--reference", "/nowhere/x.wav"],
            {"engine": "scripted"},
            1,
            "cannot read /nowhere/x.wav",
        ),
        (["seams", "x", "--voice", "emma"], {"engine": "scripted"}, 2, "valid: heart"),
        (["seams", "--wav", "/nowhere/x.wav", "--at", "1"], {}, 2, "cannot read /nowhere/x.wav"),
        (["serve"], {"engine": "voxtral"}, 1, "TRUNKLINE_TTS_MODEL_FOLDER is not set"),
        (["voices"], {"engine": "voxtral", "model_folder": "/nowhere"}, 1, "/nowhere/params.json"),
        (["say", "x", "x.wav"], {"engine": "voxtral", "model_folder": "/nowhere"}, 1, "/nowhere/params.json"),
        (["seams", "x"], {"engine": "voxtral", "model_folder": "/nowhere"}, 2, "/nowhere/params.json"),
        (["serve"], {"engine": "espeak"}, 2, "TRUNKLINE_TTS_ENGINE"),
        (["serve"], {"thread": "2"}, 2, "TRUNKLINE_TTS_THREADS"),
        (["say", "x", "x.wav"], {"model_file": "/nowhere/model.onnx"}, 1, "/nowhere/model.onnx"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], settings: dict[str, str], code: int, words: str, tmp_path: Path
) -> None:
    result = command(*arguments, **settings)
    assert result.returncode == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


async def test_a_stream_survives_the_drain_and_the_process_ends() -> None:
    port = free_port()
    settings = {"TRUNKLINE_TTS_ENGINE": "scripted", "TRUNKLINE_TTS_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tts_worker", env=os.environ | settings, stderr=subprocess.DEVNULL
    )
    try:
        async with connect(f"127.0.0.1:{port}") as channel:
            await wait_serving(channel, NAME, timeout=LONG)
            stub = text_to_speech_pb2_grpc.TextToSpeechStub(channel)
            call = stub.Synthesize()
            await call.write(opening())
            assert (await call.read()).HasField("opened")
            process.send_signal(signal.SIGTERM)
            assert (await call.read()).draining.deadline_seconds > 0
            await call.write(phrase(1, "The last words."))
            await call.done_writing()
            kinds = []
            while (response := await call.read()) is not grpc.aio.EOF:
                kinds.append(response.WhichOneof("message"))
            assert kinds[-1] == "done"
            assert set(kinds) == {"audio", "done"}
        async with asyncio.timeout(LONG):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
