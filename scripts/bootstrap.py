"""Makes `.venv` from the lock file. Runs on any Python 3, so that an old one gets a sentence and not a traceback."""

import os
import shutil
import subprocess
import sys

MIN_VERSION = (3, 11)
NEEDED_BYTES = 3 * 10**9
LEFT_BYTES = 50 * 10**6  # with less than this left, a failed step has failed for want of space
GRAPHICS = "/dev/nvidiactl"  # there where an NVIDIA driver is
SMALL_TORCH = "https://download.pytorch.org/whl/cpu"  # torch without CUDA: a tenth of the registry's build
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def fail(message: str) -> None:
    """Say it and give up."""
    sys.stderr.write("setup: %s\n" % message)
    sys.exit(1)


def check_python(version: tuple) -> None:
    """Exits with advice where Python is too old."""
    if tuple(version[:2]) < MIN_VERSION:
        found = ".".join(map(str, version[:3]))
        fail("Python 3.11 or newer is needed, this is %s. Name another: make PYTHON=python3.12 call" % found)


def check_disk(root: str, free: int) -> None:
    """Exits where a first installation cannot fit."""
    if free < NEEDED_BYTES:
        fail("%.1f GB are free in %s, 3 GB are needed. Make room, or work on another disk." % (free / 1e9, root))


class Setup:
    """The steps. `call` runs a command and returns its exit code, `free` says how many bytes are left."""

    def __init__(self, root=ROOT, call=subprocess.call, free=None, graphics=GRAPHICS):  # type: ignore[no-untyped-def]
        self.root = root
        self.graphics = graphics
        self.venv = os.path.join(root, ".venv")
        self.python = os.path.join(self.venv, "bin", "python")
        self._call = call
        self._free = free or (lambda: shutil.disk_usage(root).free)

    def run(self, version: tuple) -> None:
        """Everything; exits with one line where a step fails."""
        check_python(version)
        if not os.path.exists(self.python):
            check_disk(self.root, self._free())
            self._make_venv()
        ready = os.path.join(self.venv, "ready")
        # Once all is there pip would name every package as already satisfied; what goes wrong it says all the same.
        quiet = ("--quiet",) if os.path.exists(ready) else ()
        if not quiet and not os.path.exists(self.graphics):
            self._small_torch()
        first = "installing pinned packages (2/3; the first time takes a minute or two)"
        self._pip(first, *quiet, "-r", "requirements.lock")
        self._pip("installing trunkline itself (3/3)", "--quiet", "--no-deps", "--editable", ".")
        with open(ready, "w"):
            pass

    def _make_venv(self) -> None:
        advice = "On Debian and Ubuntu the package python3-venv may be missing: apt install python3-venv."
        try:
            self._step("making .venv (1/3)", sys.executable, "-m", "venv", self.venv, advice=advice)
        except BaseException:
            # Half a .venv would look like a whole one the next time.
            shutil.rmtree(self.venv, ignore_errors=True)
            raise

    def _small_torch(self) -> None:
        """Put the build without CUDA where there is no NVIDIA card. When it cannot be had, the next step takes the
        registry's, which is several GB larger and works as well."""
        with open(os.path.join(self.root, "requirements.lock")) as lock:
            pinned = [line.strip() for line in lock if line.startswith("torch==")]
        options = ("--quiet", "--no-deps", "--retries", "0", "--timeout", "10", "--index-url", SMALL_TORCH)
        for torch in pinned:
            sys.stdout.write("setup: %s without CUDA, since no NVIDIA card is here\n" % torch)
            sys.stdout.flush()
            pip = (self.python, "-m", "pip", "--disable-pip-version-check", "install")
            if self._call((*pip, *options, torch), cwd=self.root) != 0:
                sys.stdout.write("setup: not to be had; the next step brings the larger build\n")

    def _pip(self, step: str, *what: str) -> None:
        pip = (self.python, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "on")
        self._step(step, *pip, *what)

    def _step(self, step: str, *command: str, advice: str = "") -> None:
        sys.stdout.write("setup: %s\n" % step)
        sys.stdout.flush()
        try:
            code = self._call(command, cwd=self.root)
        except OSError as error:
            fail("%s failed: %s" % (step, error))
        if code != 0:
            if self._free() < LEFT_BYTES:
                fail(
                    "%s failed: the disk of %s is full. Make room and run the same make command again."
                    % (step, self.root)
                )
            again = "Fix it and run the same make command again."
            fail(" ".join(filter(None, ["%s failed; the lines above say why." % step, advice, again])))


def main() -> None:
    """Set up in the folder above this file."""
    try:
        Setup().run(sys.version_info)
    except KeyboardInterrupt:
        fail("stopped. The same make command goes on where this ended.")


if __name__ == "__main__":
    main()
