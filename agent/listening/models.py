"""The model files: two that the pipecat-ai wheel carries, found without importing pipecat, which takes seconds, and one
of this package."""

import json
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from agent.listening.onset import Onset

SILERO = "audio/vad/data/silero_vad.onnx"
"""Voice activity, Silero 5, MIT."""
SMART_TURN = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
"""End of turn from intonation, Smart Turn 3.2, BSD-2-Clause."""


class ModelMissing(Exception):
    """A model file is not installed. The text says which and what to do."""


def model_path(name: str) -> Path:
    """Path of `SILERO` or `SMART_TURN` in the installed wheel. Raises ModelMissing."""
    spec = find_spec("pipecat")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(
            f"{name}: the package pipecat-ai, which carries it, is not installed; run `make .venv/ready`"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / name
    if not path.is_file():
        raise ModelMissing(f"{path} is missing: install the version of pipecat-ai that requirements.lock names")
    return path


def open_session(name: str) -> onnxruntime.InferenceSession:
    """Load a model for one core: calls are many and inferences small, so a second thread only costs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model_path(name)), options, providers=["CPUExecutionProvider"])


def load_onsets() -> tuple[Onset, ...]:
    """The weights that `scripts/train_backchannel.py` wrote, one network for each of `onset.LOOKS`."""
    text = resources.files("agent.listening").joinpath("onset.json").read_text("utf-8")
    networks: list[dict[str, Any]] = json.loads(text)
    return tuple(_onset(values) for values in networks)


def _onset(values: dict[str, Any]) -> Onset:
    arrays = {name: np.array(value) for name, value in values.items() if isinstance(value, list)}
    return Onset(output_bias=float(values["output_bias"]), **arrays)
