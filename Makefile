# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test check format bench clean

help:
	@echo "make setup    build .venv with the leastwise command in it"
	@echo "make demo     set up, start the platform, deploy three functions, call them, verify the trail"
	@echo "make test     set up and run every test"
	@echo "make check    lint, types, architecture"
	@echo "make bench    run the benchmarks beside their peers; writes benchmarks/RESULTS.md"

setup: .venv/.run-ready

.venv/.run-ready: requirements/run.txt requirements/build.txt pyproject.toml tools/setup.py
	$(PYTHON) tools/setup.py run
	@touch $@

.venv/.dev-ready: .venv/.run-ready requirements/dev.txt
	$(PYTHON) tools/setup.py dev
	@touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: .venv/.dev-ready
	$(BIN)/python -m pytest

check: .venv/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev-ready
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf .venv .bench-venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
