"""What the documents name exists: files behind links, make targets, modules, settings."""

import importlib.util
import re
from pathlib import Path

import pytest

from agent.settings import AgentSettings
from llm_worker.config import LlmSettings
from services.settings import Settings
from stt_worker.config import SttSettings
from tts_worker.settings import TtsSettings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
SETTINGS: tuple[type[Settings], ...] = (AgentSettings, SttSettings, LlmSettings, TtsSettings)


def names(pages: list[Path]) -> list[str]:
    """Of test cases."""
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_relative_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    files = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    assert [file for file in files if file and not (page.parent / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_anchors_are_headings(page: Path) -> None:
    for file, anchor in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    code = re.findall(r"`[^`]+`|^```.*?^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    named = {target for text in code for target in re.findall(r"\bmake ([a-z]+)", text)}
    assert named - set(targets) == set()


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_modules_to_run_exist(page: Path) -> None:
    for module in set(re.findall(r"python -m ([\w.]+)", page.read_text(encoding="utf-8"))):
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        packaged = spec.submodule_search_locations
        assert not packaged or importlib.util.find_spec(f"{module}.__main__"), f"{module} cannot be run"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_settings_exist(page: Path) -> None:
    known = {f"{settings.prefix}{field.upper()}" for settings in SETTINGS for field in settings.model_fields}
    named = set(re.findall(r"\bTRUNKLINE_[A-Z]+_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named - known == set()


def test_metrics_are_described_and_exist() -> None:
    packages = ("agent", "services", "stt_worker", "llm_worker", "tts_worker")
    sources = [file.read_text(encoding="utf-8") for package in packages for file in (ROOT / package).glob("**/*.py")]
    exported = {name for source in sources for name in re.findall(r"\"(trunkline_[a-z_]+)\"", source)}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`(trunkline_[a-z_]+)", page))
    assert {name.removesuffix("_total") for name in described} == {name.removesuffix("_total") for name in exported}
