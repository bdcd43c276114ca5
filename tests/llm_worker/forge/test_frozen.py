"""The dialogues written by hand were frozen before anything was trained; they are an exam, not material to tune on."""

import hashlib
from importlib import resources

FOLDER = resources.files("llm_worker.forge").joinpath("handwritten")
DIGEST = "a34ad7dea0371fa5d97d2f58440c9155f4bb440333f608096983b5793dcfd6de"
"""SHA-256 of FROZEN.sha256, which holds those of the files. It changes only with a new exam, under a new name."""


def test_the_handwritten_dialogues_are_those_that_were_frozen() -> None:
    frozen = FOLDER.joinpath("FROZEN.sha256").read_bytes()
    assert hashlib.sha256(frozen).hexdigest() == DIGEST
    lines = [line.split() for line in frozen.decode().splitlines()]
    listed = {name: digest for digest, name in lines}
    found = {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest()
        for entry in FOLDER.iterdir()
        if entry.name.endswith(".toml")
    }
    assert found == listed
