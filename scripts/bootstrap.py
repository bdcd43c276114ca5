"""Makes `.venv` from the lock file. Runs on any Python 3, so that an old one gets a sentence and not a traceback."""

import os
import shutil
import subprocess
import sys

MIN_VERSION = (3, 11)
NEEDED_BYTES = 3 * 10**9
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")


def fail(message):
    sys.stderr.write("setup: %s\n" % message)
    sys.exit(1)


def run(step, *command):
    sys.stdout.write("setup: %s\n" % step)
    sys.stdout.flush()
    if subprocess.call(command, cwd=ROOT) != 0:
        fail("%s failed; the lines above say why. Fix it and run the same make command again." % step)


def main():
    if sys.version_info < MIN_VERSION:
        found = ".".join(map(str, sys.version_info[:3]))
        fail("Python 3.11 or newer is needed, this is %s. Name another: make PYTHON=python3.12 call" % found)
    fresh = not os.path.exists(PYTHON)
    free = shutil.disk_usage(ROOT).free
    if fresh and free < NEEDED_BYTES:
        fail("%.1f GB are free in %s, 3 GB are needed." % (free / 1e9, ROOT))
    if fresh:
        run("making .venv (1/3)", sys.executable, "-m", "venv", VENV)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "on")
    run("installing pinned packages (2/3; the first time takes a minute or two)", *pip, "-r", "requirements.lock")
    run("installing trunkline itself (3/3)", *pip, "--quiet", "--no-deps", "--editable", ".")
    with open(os.path.join(VENV, "ready"), "w"):
        pass


if __name__ == "__main__":
    main()
