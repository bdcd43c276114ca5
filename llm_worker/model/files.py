"""A model's folder, as published: `params.json` or `config.json`, and the files of weights."""

import json
from pathlib import Path

from llm_worker.model.config import Config, ConfigError, load_config
from llm_worker.model.hf_config import from_hf

PARAMS, HF_CONFIG = "params.json", "config.json"


def read_config(folder: Path) -> Config:
    """The configuration of a folder; the native file is preferred, which says more. Raises ConfigError."""
    if (folder / PARAMS).exists() or not (path := folder / HF_CONFIG).exists():
        return load_config(folder / PARAMS)
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: is no object")
    return from_hf(values, str(path))
