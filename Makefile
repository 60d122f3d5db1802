# `make help` lists the targets. Everything is set up from a bare clone: the environment, its bytecode, the servers.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Bytecode is compiled once, at installation; without it every import takes two to three times as long.
unexport PYTHONDONTWRITEBYTECODE
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
# OpenMP threads that spin while they wait slow everything down on a busy machine: spin for a moment, then sleep.
export GOMP_SPINCOUNT := 10000
# Files are handed out in the order in which they are named and collected, the slow ones first: with pytest-xdist's own
# order, by their number of tests, a slow file with few tests comes last and everybody waits for it. Tests often wait
# for a server or a process, so there are more at a time than the two cores that continuous integration has.
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo demo-once test test-fast test-extras test-docker lint format bench picture lock wheel clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## build .venv: the tested set of libraries, hashed, and this project in it

$(READY): requirements/tested.txt pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) bash scripts/setup.sh $(VENV) requirements/tested.txt
	touch $@

demo: $(READY) ## watch a year of flights in a real Airflow; stays up until Ctrl-C
	$(BIN)/python -m scripts.demo

demo-once: $(READY) ## the same, and stop by itself; fails if anything is off
	$(BIN)/python -m scripts.demo --once

test: $(READY) lint ## everything: unit, integration, system
	$(BIN)/python -m pytest tests/integration tests/unit -n 3 $(BY_FILE)
	$(BIN)/python -m pytest tests/system

test-fast: $(READY) ## the unit tests
	$(BIN)/python -m pytest tests/unit -n 2 --dist loadfile

test-extras: requirements/extras.txt ## the extras that are not in the tested set, in an environment of their own
	PYTHON=$(PYTHON) bash scripts/setup.sh .venv-extras requirements/extras.txt
	.venv-extras/bin/python -m pytest tests/extras

test-docker: ## build the image and start the stack, on stand-in bases (root, Debian)
	docker/standin/check.sh

lint: $(READY) ## ruff, mypy --strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure: the demo against one plain script, parsing, the ledger
	$(BIN)/python -m benchmarks

picture: $(READY) ## draw the picture of the README from a real run
	$(BIN)/python -m scripts.picture

lock: $(READY) ## pin the tested set anew, from the bounds in pyproject.toml
	bash scripts/lock.sh $(BIN)

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/uv build --wheel --quiet

clean: ## remove what was built
	rm -rf $(VENV) .venv-extras .demo dist build
