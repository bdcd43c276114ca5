"""Settings of a process: typed, frozen, read once from its environment.

A variable is the prefix of the process and the name of a field in capitals: `TRUNKLINE_STT_PORT`. A variable with
the prefix that is no field, and a value that does not fit, end the process with exit code 2 and a line each.
"""

import difflib
import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several words in one variable, separated by commas."""


class SettingsError(Exception):
    """One line for each variable that is wrong: its name, what it holds, what is valid."""


class Settings(BaseModel):
    """Base of every process's settings. Subclasses set `prefix` and describe each field: `--help` shows them. What
    must not be shown is a SecretStr."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    prefix: ClassVar[str]

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Parse the variables of this process. Raises SettingsError."""
        ours = {name: value for name, value in environ.items() if name.startswith(cls.prefix)}
        fields = {cls._variable(name): name for name in cls.model_fields}
        problems = [cls._unknown(name, list(fields)) for name in ours if name not in fields]
        settings = None
        try:
            settings = cls(**{fields[name]: value for name, value in ours.items() if name in fields})
        except ValidationError as error:
            problems += [cls._explain(dict(e)) for e in error.errors(include_url=False)]
        if settings is None or problems:
            raise SettingsError("\n".join(problems)) from None
        return settings

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
        lines = ["settings (environment variables and their defaults):"]
        for name, field in cls.model_fields.items():
            lines.append(f"  {cls._variable(name)}={_default(field)}")
            if field.description:
                lines.append(f"      {field.description}")
        return "\n".join(lines)

    @classmethod
    def _variable(cls, field: str) -> str:
        return f"{cls.prefix}{field.upper()}"

    @classmethod
    def _unknown(cls, name: str, valid: list[str]) -> str:
        near = difflib.get_close_matches(name.upper(), valid, n=1)
        guess = f" Did you mean {near[0]}?" if near else ""
        return f"{name}: unknown setting.{guess} Valid: {', '.join(valid)}"

    @classmethod
    def _explain(cls, error: Mapping[str, Any]) -> str:
        problem = str(error["msg"]).removeprefix("Value error, ")
        field = cls.model_fields.get(str(error["loc"][0])) if error["loc"] else None
        if field is None:  # a rule about several fields; its text names them
            return f"{cls.prefix}*: {problem}"
        variable = cls._variable(str(error["loc"][0]))
        given = "is not set" if error["type"] == "missing" else f"= {_shown(field, error['input'])}"
        return f"{variable} {given}: {problem}. {field.description or ''}".rstrip()


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in repr(field.annotation)


def _shown(field: FieldInfo, value: object) -> str:
    return "(hidden)" if _is_secret(field) else repr(value)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    match field.get_default(call_default_factory=True, validated_data={}):
        case None | SecretStr():
            return ""
        case bool() as flag:
            return str(flag).lower()
        case tuple() as several:
            return ",".join(str(one) for one in several)
        case other:
            return str(other)


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
