# The standing commands. Each sets up what it needs; `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help call run test check bench lock protos clean
help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

call: .venv/ready ## place one real call on this machine, show transcript and latency, exit
	@$(BIN)/python -m scripts.call

run: .venv/ready ## serve until stopped (Ctrl-C)
	@$(BIN)/python -m scripts.run

test: check ## all checks, then all tests
	$(BIN)/python -m pytest

check: .venv/ready ## format, lint, types, import contracts, generated code up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.protos --check

bench: .venv/ready ## benchmarks on this machine, written to docs/measurements/
	$(BIN)/python -m scripts.bench

protos: .venv/ready ## regenerate the code of the contracts
	$(BIN)/python -m scripts.protos

lock: .venv/ready ## write requirements.lock from pyproject.toml
	$(BIN)/pip-compile --quiet --all-extras --strip-extras --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	@# A build for a special processor may have answered; its name is not in the registry.
	@sed -i "s/^torch==\([0-9.]*\)+.*/torch==\1/" requirements.lock

.venv/ready: requirements.lock pyproject.toml scripts/bootstrap.py
	@$(PYTHON) scripts/bootstrap.py

clean: ## remove what the commands made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info var
