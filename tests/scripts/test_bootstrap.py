"""The set-up's steps and what it says when one fails."""

import ast
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scripts import bootstrap
from scripts.bootstrap import NEEDED_BYTES, Setup

ENOUGH = NEEDED_BYTES + 1


class Shell:
    """Stands for subprocess.call: makes a .venv, and fails where told."""

    def __init__(self, root: Path, failing: str = "\0") -> None:
        self.commands: list[str] = []
        self._root = root
        self._failing = failing

    def __call__(self, command: Sequence[str], cwd: str) -> int:
        assert cwd == str(self._root)
        line = " ".join(command)
        self.commands.append(line)
        if "-m venv" in line:
            python = self._root / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return int(self._failing in line)


def _run(
    root: Path,
    shell: Shell,
    version: tuple[int, ...] = (3, 12, 1),
    free: Callable[[], int] = lambda: ENOUGH,
    card: str = "card",
) -> None:
    (root / "requirements.lock").write_text("numpy==2.0\ntorch==2.13.0\n    # via x\n", encoding="utf-8")
    (root / "card").touch()
    Setup(str(root), shell, free, str(root / card)).run(version)  # type: ignore[no-untyped-call]


def test_makes_the_environment_in_three_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path)
    _run(tmp_path, shell)
    assert [("venv" in line, "requirements.lock" in line, "--editable" in line) for line in shell.commands] == [
        (True, False, False),
        (True, True, False),
        (True, False, True),
    ]
    assert (tmp_path / ".venv" / "ready").exists()
    assert [f"({n}/3" in capsys_line for n, capsys_line in enumerate(capsys.readouterr().out.splitlines(), 1)] == [
        True, True, True,
    ]  # fmt: skip


def test_without_an_nvidia_card_torch_comes_without_cuda(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    _run(tmp_path, shell, card="none")
    (torch,) = (line for line in shell.commands if "torch==2.13.0" in line)
    assert "--index-url https://download.pytorch.org/whl/cpu" in torch
    assert shell.commands.index(torch) == 1  # before the others, which then find it


def test_the_larger_torch_does_when_the_small_one_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(tmp_path, Shell(tmp_path, failing="whl/cpu"), card="none")
    assert "the next step brings the larger build" in capsys.readouterr().out
    assert (tmp_path / ".venv" / "ready").exists()


def test_an_environment_that_is_there_is_updated(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    _run(tmp_path, shell)
    _run(tmp_path, shell, free=lambda: NEEDED_BYTES // 2)
    assert len(shell.commands) == 5


def test_only_what_was_whole_before_is_updated_quietly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def pinned(shell: Shell) -> str:
        return next(line for line in shell.commands if "requirements.lock" in line)

    broken, whole, again = Shell(tmp_path, failing="requirements.lock"), Shell(tmp_path), Shell(tmp_path)
    _message(capsys, lambda: _run(tmp_path, broken))
    _run(tmp_path, whole)
    _run(tmp_path, again)
    assert ["--quiet" in pinned(shell) for shell in (broken, whole, again)] == [False, False, True]


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 6, 0)])
def test_python_too_old(tmp_path: Path, capsys: pytest.CaptureFixture[str], version: tuple[int, ...]) -> None:
    shell = Shell(tmp_path)
    assert _message(capsys, lambda: _run(tmp_path, shell, version)).startswith("setup: Python 3.11 or newer is needed")
    assert shell.commands == []


def test_no_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path)
    said = _message(capsys, lambda: _run(tmp_path, shell, free=lambda: 10**9))
    assert "1.0 GB are free" in said
    assert "3 GB are needed" in said
    assert shell.commands == []


def test_the_disk_fills_up_on_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = iter([ENOUGH, 10**6])
    shell = Shell(tmp_path, failing="requirements.lock")
    assert "is full" in _message(capsys, lambda: _run(tmp_path, shell, free=lambda: next(left)))


def test_pip_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _message(capsys, lambda: _run(tmp_path, Shell(tmp_path, failing="requirements.lock")))
    assert "installing pinned packages" in said
    assert "the lines above say why" in said
    assert not (tmp_path / ".venv" / "ready").exists()


def test_half_an_environment_is_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "python3-venv" in _message(capsys, lambda: _run(tmp_path, Shell(tmp_path, failing="-m venv")))
    assert not (tmp_path / ".venv").exists()


def test_a_command_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(command: Sequence[str], cwd: str) -> int:
        raise FileNotFoundError(2, "No such file or directory", command[0])

    assert "No such file" in _message(
        capsys,
        lambda: Setup(str(tmp_path), missing, lambda: ENOUGH).run((3, 12, 1)),  # type: ignore[no-untyped-call]
    )


def test_parses_on_old_pythons() -> None:
    source = Path(bootstrap.__file__).read_text()
    ast.parse(source, feature_version=(3, 5))


def _message(capsys: pytest.CaptureFixture[str], run: Callable[[], None]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line
