"""What the project depends on is pinned, and docs/dependencies.md says what for."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def direct() -> set[str]:
    """Normalised names of everything that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(one for extra in extras for one in extra)]
    return {normal(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]) for requirement in requirements}


def normal(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_direct_dependency_is_pinned() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {normal(name) for name in re.findall(r"^([\w.-]+)==\S+", lock, re.MULTILINE)}
    assert direct() - pinned == set()


def test_the_page_describes_exactly_the_direct_dependencies() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    described_part = page.split("## What comes along")[0]
    described = {normal(name) for name in re.findall(r"^\| `([\w.-]+)` \|", described_part, re.MULTILINE)}
    assert described == direct()
