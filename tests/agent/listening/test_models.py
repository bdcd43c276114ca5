"""The model files are found without importing the package that carries them, and missed with advice."""

import subprocess
import sys

import pytest

from agent.listening.models import SILERO, SMART_TURN, ModelMissing, model_path


@pytest.mark.parametrize("name", [SILERO, SMART_TURN])
def test_the_files_are_there(name: str) -> None:
    assert model_path(name).stat().st_size > 1_000_000


def test_a_missing_file_says_what_to_do() -> None:
    with pytest.raises(ModelMissing, match=r"nothing\.onnx is missing: install the version of pipecat-ai"):
        model_path("audio/nothing.onnx")


def test_pipecat_is_not_imported() -> None:
    """Its import takes seconds and registers handlers of its own."""
    code = "import sys, agent.listening.pool, agent.listening.turn_model; sys.exit('pipecat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
