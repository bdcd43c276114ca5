"""Settings of `make run`, and what it says when it cannot start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.ports import machine_address
from scripts.run import how_to_call, options
from scripts.stack import ROOT, Stack
from tests.waiting import LONG

COMMANDS = ("scripts.call", "scripts.run", "scripts.bench")


def test_usual_ports_and_others() -> None:
    usual = options({})
    assert (usual.ports.sip, usual.ports.http, usual.ports.stt) == (5060, 8080, 7001)
    assert usual.data == ROOT / "var"
    own = options({"TRUNKLINE_AGENT_SIP_PORT": "5070", "TRUNKLINE_LLM_BACKEND": "openai", "HOME": "/root"})
    assert own.ports.sip == 5070
    assert own.environment == {
        "TRUNKLINE_AGENT_SIP_PORT": "5070",
        "TRUNKLINE_LLM_BACKEND": "openai",
        "TRUNKLINE_AGENT_SIP_TRUNKS": f"127.0.0.0/8,{machine_address()}",
    }


def test_only_this_machine_may_call_unless_told_otherwise() -> None:
    assert options({}).host == machine_address()
    assert options({}).http_host == "127.0.0.1"
    chosen = options({"TRUNKLINE_AGENT_SIP_ADDRESS": "10.0.0.7", "TRUNKLINE_AGENT_SIP_TRUNKS": "10.0.0.0/8"})
    assert chosen.host == "10.0.0.7"
    assert chosen.environment["TRUNKLINE_AGENT_SIP_TRUNKS"] == "10.0.0.0/8"


@pytest.mark.parametrize("port", ["many", "0", "70000", "-1"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(ValueError, match="TRUNKLINE_AGENT_HTTP_PORT"):
        options({"TRUNKLINE_AGENT_HTTP_PORT": port})


def test_how_to_call_has_what_a_softphone_needs(tmp_path: Path) -> None:
    chosen = options({"TRUNKLINE_AGENT_VAR": str(tmp_path), "TRUNKLINE_AGENT_API_TOKEN": "t" * 20})
    text = how_to_call(Stack(chosen, lambda *_: None))
    assert f"sip:frontdesk@{machine_address()}:5060" in text
    assert "Bearer " + "t" * 20 in text


def test_processes_get_only_the_settings_of_their_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUNKLINE_AGENT_LOG_WORDS", "yes")
    stack = Stack(options({"TRUNKLINE_AGENT_VAR": str(tmp_path), "TRUNKLINE_STT_MODEL": "big"}), lambda *_: None)
    agent, stt = (stack.supervisor._running[name].program.environment for name in ("agent", "stt"))
    assert "TRUNKLINE_AGENT_LOG_WORDS" not in agent
    assert "TRUNKLINE_STT_MODEL" not in agent
    assert stt["TRUNKLINE_STT_MODEL"] == "big"


def _environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    from scripts.stack import Ports

    ports = Ports.free()
    return {
        **os.environ,
        "COLUMNS": "200",
        "TRUNKLINE_AGENT_VAR": str(tmp_path),
        "TRUNKLINE_STT_PORT": str(ports.stt),
        "TRUNKLINE_LLM_PORT": str(ports.llm),
        "TRUNKLINE_TTS_PORT": str(ports.tts),
        "TRUNKLINE_AGENT_SIP_PORT": str(ports.sip),
        "TRUNKLINE_AGENT_HTTP_PORT": str(ports.http),
        "TRUNKLINE_STT_ENGINE": "scripted",
        "TRUNKLINE_TTS_ENGINE": "scripted",
        **extra,
    }


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.run(
            [sys.executable, "-m", "scripts.run"], env=_environment(tmp_path, TRUNKLINE_LLM_PORT=str(port)),
            cwd=ROOT, capture_output=True, text=True, timeout=2 * LONG, check=False,
        )  # fmt: skip
    assert process.returncode == 1
    last = process.stdout.splitlines()[-1]
    assert last.startswith("not started  llm:")
    assert str(port) in last
    assert "in use" in last


def test_serves_until_told_to_stop(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.run"], env=_environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C stops"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(LONG) == 0
    assert any(f"sip:frontdesk@{machine_address()}" in line for line in lines)
    assert rest.count("stopped") == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_arguments_are_exit_code_2(command: str) -> None:
    arguments = {"scripts.call": ["--scenario", "nothing"], "scripts.bench": ["nothing"]}.get(command)
    environment = {**os.environ, "TRUNKLINE_AGENT_HTTP_PORT": "many"} if arguments is None else dict(os.environ)
    process = subprocess.run(
        [sys.executable, "-m", command, *(arguments or [])], env=environment, cwd=ROOT, capture_output=True, text=True,
        timeout=2 * LONG, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert "nothing" in process.stdout + process.stderr or "many" in process.stdout
    assert "Traceback" not in process.stderr
