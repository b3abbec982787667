# Two commands: `make demo` shows what it does, `make test` proves that it works. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# one process per core, never fewer than one
JOBS ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1)")

.PHONY: help demo test test-all lint format bench clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing rooftune with its engines into $(VENV) ..."
	$(PIP) install --constraint constraints.txt --editable '.[openvino]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "installing what the tests need (PyTorch among it: some minutes the first time) ..."
	$(PIP) install --constraint constraints.txt --editable '.[openvino,torch,test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) install --constraint constraints.txt --editable '.[openvino,torch,test,bench]'
	@touch $@

demo: $(VENV)/.demo  ## optimise the digits example and ResNet50, and say where the reports are
	$(BIN)/python examples/demo.py

test: $(VENV)/.test lint  ## everything that must hold: style, types, layers, tests (Chromium included)
	PYTHON=$(BIN)/python sh tests/ensure_chromium.sh
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

test-all: $(VENV)/.test lint  ## the same with the slow sweeps
	PYTHON=$(BIN)/python sh tests/ensure_chromium.sh
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/.test  ## ruff, mypy --strict, the layer contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.test  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench  ## every claim's script; results go to benchmarks/results (an hour or two, on a quiet machine)
	$(BIN)/python benchmarks/ceilings.py
	$(BIN)/python benchmarks/counting.py
	$(BIN)/python benchmarks/analysis_speed.py
	$(BIN)/python benchmarks/attribution.py
	$(BIN)/python benchmarks/prediction.py
	$(BIN)/python benchmarks/rewrites.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/convolutions.py
	$(BIN)/python benchmarks/compiling.py
	$(BIN)/python benchmarks/errors.py
	$(BIN)/python benchmarks/crowded.py

clean:  ## remove what was built
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
