"""A stand-in agent that answers real SIP calls."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def answerer() -> Iterator[tuple[str, int]]:
    """Its SIP address."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("answerer.py")), str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield "127.0.0.1", port
        process.kill()
