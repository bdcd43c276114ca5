"""A job is one TOML file. What is wrong with it is said in a line."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class JobError(ValueError):
    """A job that cannot be done; the text says what is wrong with it, and where."""


class JobPart(BaseModel):
    """Keys of the file are fields, and others are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


J = TypeVar("J", bound=JobPart)


def read_file(path: Path, kind: type[J]) -> J:
    """The job of a file, its paths as they stand there. Raises JobError."""
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise JobError(f"{path}: {problem.strerror}") from None
    except tomllib.TOMLDecodeError as problem:
        raise JobError(f"{path}: not TOML: {problem}") from None
    except ValidationError as problems:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems.errors())
        raise JobError(f"{path}: {told}") from None
