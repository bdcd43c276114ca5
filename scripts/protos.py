"""Generates the Python code of the contracts in `protos/`, or checks that what is committed is up to date."""

import argparse
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent


def generate(out: Path) -> None:
    """Write `*_pb2*.py` and stubs below `out`; paths are relative to the root, so that imports read `from protos`."""
    sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "protos").glob("*.proto"))
    options = [f"--{kind}=quiet:{out}" for kind in ("mypy_out", "mypy_grpc_out")]
    options += [f"--{kind}={out}" for kind in ("python_out", "grpc_python_out")]
    beside_python = Path(sys.executable).parent
    options += [f"--plugin={name}={beside_python / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    if protoc.main(["protoc", f"-I{ROOT}", *options, *sources]) != 0:
        sys.exit("protos: protoc failed; the lines above say why")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the committed code differs")
    if not parser.parse_args().check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        fresh = {p.name: p.read_bytes() for p in Path(directory, "protos").iterdir()}
    committed = {p.name: p.read_bytes() for p in (ROOT / "protos").glob("*_pb2*")}
    stale = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    if stale:
        sys.exit(f"protos: not up to date: {', '.join(stale)}. Run: make protos")


if __name__ == "__main__":
    main()
