"""The scenarios that come with the package: one TOML file each."""

from pathlib import Path

from loadtest.scenario import Scenario, ScenarioError, parse

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Of the scenarios that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """A scenario by its name here, or from a file elsewhere. Raises ScenarioError."""
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{name}: no such scenario; there are {', '.join(names())}, or name a .toml file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{name}: cannot be read: {error}") from None
    return parse(text, path.name)
