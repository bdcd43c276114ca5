"""Settings: what is wrong is named, what is secret stays so."""

from pathlib import Path
from typing import ClassVar, Literal, Self

import pytest
from pydantic import Field, SecretStr, ValidationError, model_validator

from services.settings import Names, ServiceSettings, Settings, SettingsError


class Example(Settings):
    prefix: ClassVar[str] = "TRUNKLINE_EXAMPLE_"

    places: int = Field(4, ge=1, le=64, description="Calls at a time, 1 to 64.")
    model: Path | None = Field(None, description="Directory of the model.")
    targets: Names = Field(("127.0.0.1:1",), description="Workers, separated by commas.")
    mode: Literal["fast", "good"] = Field("fast", description="fast or good.")
    tls: bool = Field(False, description="Whether to encrypt.")
    key: SecretStr | None = Field(None, min_length=8, description="Key of the server, 8 characters or more.")

    @model_validator(mode="after")
    def _good_needs_a_model(self) -> Self:
        if self.mode == "good" and self.model is None:
            raise ValueError("TRUNKLINE_EXAMPLE_MODE=good needs TRUNKLINE_EXAMPLE_MODEL")
        return self


class Required(Settings):
    prefix: ClassVar[str] = "TRUNKLINE_REQUIRED_"

    url: str = Field(description="Where to.")


def read(**variables: str) -> Example:
    return Example.read({f"TRUNKLINE_EXAMPLE_{name}": value for name, value in variables.items()} | {"HOME": "/"})


def problems(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(**variables)
    return str(caught.value).splitlines()


def test_defaults() -> None:
    settings = read()
    assert (settings.places, settings.model, settings.targets) == (4, None, ("127.0.0.1:1",))


def test_values_are_typed() -> None:
    settings = read(PLACES="9", MODEL="/m", TARGETS="a:1, b:2,", TLS="true", KEY="12345678")
    assert (settings.places, settings.model, settings.targets, settings.tls) == (9, Path("/m"), ("a:1", "b:2"), True)
    assert settings.key
    assert settings.key.get_secret_value() == "12345678"


def test_they_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read().places = 5  # type: ignore[misc]


def test_every_wrong_variable_gets_a_line_with_what_is_valid() -> None:
    lines = problems(PLACES="many", MODE="best")
    assert lines[0].startswith("TRUNKLINE_EXAMPLE_PLACES = 'many': ")
    assert lines[0].endswith("Calls at a time, 1 to 64.")
    assert lines[1].startswith("TRUNKLINE_EXAMPLE_MODE = 'best': Input should be 'fast' or 'good'")


def test_an_unknown_variable_is_refused_with_a_guess_and_the_list() -> None:
    (line,) = problems(PLACE="4")
    assert line.startswith("TRUNKLINE_EXAMPLE_PLACE: unknown setting. Did you mean TRUNKLINE_EXAMPLE_PLACES? Valid: ")
    assert "TRUNKLINE_EXAMPLE_TARGETS" in line


def test_names_are_capitals() -> None:
    (line,) = problems(places="4")
    assert line.startswith("TRUNKLINE_EXAMPLE_places: unknown setting. Did you mean TRUNKLINE_EXAMPLE_PLACES?")


def test_unknown_and_invalid_are_told_together() -> None:
    assert len(problems(PLACE="4", TLS="perhaps")) == 2


def test_a_rule_about_several_fields() -> None:
    assert problems(MODE="good") == ["TRUNKLINE_EXAMPLE_*: TRUNKLINE_EXAMPLE_MODE=good needs TRUNKLINE_EXAMPLE_MODEL"]


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^TRUNKLINE_REQUIRED_URL is not set: .*Where to\.$"):
        Required.read({})


def test_secrets_are_not_shown() -> None:
    (line,) = problems(KEY="s3cret!")
    assert line.startswith("TRUNKLINE_EXAMPLE_KEY = (hidden): ")
    assert "s3cret" not in line
    assert "s3cret" not in "".join(problems(KEY="s3cret!!", MODE="good"))
    assert "s3cret" not in repr(read(KEY="s3cret!!"))


def test_a_secret_default_is_not_described() -> None:
    class Secretive(Settings):
        prefix: ClassVar[str] = "TRUNKLINE_SECRETIVE_"

        key: SecretStr = Field(SecretStr("s3cret"), description="Key.")

    assert "s3cret" not in Secretive.describe()
    assert "TRUNKLINE_SECRETIVE_KEY=\n      Key." in Secretive.describe()


def test_describe_shows_variables_defaults_and_meanings() -> None:
    shown = Example.describe()
    assert "  TRUNKLINE_EXAMPLE_PLACES=4\n      Calls at a time, 1 to 64.\n" in shown
    assert "  TRUNKLINE_EXAMPLE_MODEL=\n" in shown
    assert "  TRUNKLINE_EXAMPLE_TARGETS=127.0.0.1:1\n" in shown
    assert "  TRUNKLINE_EXAMPLE_TLS=false\n" in shown
    assert "  TRUNKLINE_REQUIRED_URL=(required)\n" in Required.describe()


def test_entry_points_exit_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRUNKLINE_EXAMPLE_PLACES", "0")
    with pytest.raises(SystemExit) as caught:
        Example.read_or_exit()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("TRUNKLINE_EXAMPLE_PLACES = '0': ")


def test_what_every_worker_has() -> None:
    class Worker(ServiceSettings):
        prefix: ClassVar[str] = "TRUNKLINE_WORKER_"

    settings = Worker.read({"TRUNKLINE_WORKER_PORT": "50051", "TRUNKLINE_WORKER_DRAIN_SECONDS": "1.5"})
    assert (settings.host, settings.port, settings.drain_seconds) == ("127.0.0.1", 50051, 1.5)
    with pytest.raises(SettingsError, match="TRUNKLINE_WORKER_PORT = '70000'"):
        Worker.read({"TRUNKLINE_WORKER_PORT": "70000"})
