"""Settings of a process: typed, frozen, read once from its environment.

A variable is the prefix of the process and the name of a field in capitals: `TRUNKLINE_STT_PORT`. A variable with
the prefix that is no field, and a value that does not fit, end the process with exit code 2 and a line each.
"""

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several words in one variable, separated by commas."""


class SettingsError(Exception):
    """One line for each variable that is wrong: its name, what it holds, what is valid."""


class Settings(BaseModel):
    """Base of every process's settings. Subclasses set `prefix` and describe each field: `--help` shows them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    prefix: ClassVar[str]

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Parse the variables of this process. Raises SettingsError."""
        given = {
            name.removeprefix(cls.prefix).lower(): value
            for name, value in environ.items()
            if name.startswith(cls.prefix)
        }
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsError("\n".join(cls._explain(e) for e in error.errors())) from None

    @classmethod
    def read_or_exit(cls) -> Self:
        """`read`, for entry points: prints what is wrong and exits with code 2."""
        try:
            return cls.read()
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(2)

    @classmethod
    def describe(cls) -> str:
        """Every variable with its default and meaning, for `--help`."""
        lines = []
        for name, field in cls.model_fields.items():
            default = field.get_default(call_default_factory=True, validated_data={})
            shown = ",".join(default) if isinstance(default, tuple) else default
            lines.append(
                f"  {cls.prefix}{name.upper()}={'' if shown is None else shown}\n      {field.description or ''}"
            )
        return "settings (environment variables and their defaults):\n" + "\n".join(lines)

    @classmethod
    def _explain(cls, error: Any) -> str:
        field = str(error["loc"][0]) if error["loc"] else ""
        variable = f"{cls.prefix}{field.upper()}"
        if error["type"] == "extra_forbidden":
            return f"{variable}: unknown setting. Valid: {', '.join(cls.prefix + n.upper() for n in cls.model_fields)}"
        meaning = cls.model_fields[field].description if field in cls.model_fields else ""
        return f"{variable}={error.get('input')!r}: {error['msg']}. {meaning or ''}".rstrip()


class ServiceSettings(Settings):
    """What every gRPC worker has."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65535, description="Port of the gRPC service; 0 takes a free one.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the Prometheus endpoint; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error."
    )
    log_words: bool = Field(False, description="Write spoken words and phone numbers into the log. For debugging only.")
    drain_seconds: float = Field(30.0, ge=0, le=3600, description="How long streams may go on after SIGTERM.")
