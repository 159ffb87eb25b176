# `make` alone explains the commands.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

JOBS ?= 3
SHUFFLE := $(if $(SEED),--shuffle $(SEED))
FAST := tests/accounts tests/lint tests/queueing tests/reference tests/spaces
TEMPLATES := $(shell find templates -name '*.html')

.DEFAULT_GOAL := help
.PHONY: help up test test-fast census chaos bench lint format docs clean

help:  ## show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(VENV)/.run: requirements.txt pyproject.toml
	@echo "setting up $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@touch $@

$(VENV)/.tls: $(VENV)/.run requirements-tls.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-tls.txt
	@touch $@

up: $(VENV)/.run $(if $(TLS),$(VENV)/.tls)  ## run the platform here (TLS=spaces.example.org: by https)
	@$(if $(TLS),SPACEPORT_TLS=$(TLS)) exec $(BIN)/python manage.py up

test: $(VENV)/.dev  ## run all tests (SEED=7: in another order)
	@rm -f .pytest_cache/v/cache/lastfailed
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(SHUFFLE) $(ARGS) || \
		{ [ $$? = 1 ] && [ -z "$(ARGS)" ] && $(BIN)/python -m tests.second_run; }

test-fast: $(VENV)/.dev  ## run the tests that need no container, browser or whole platform, and are not long
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not docker and not browser and not long" \
		$(SHUFFLE) $(FAST) $(ARGS)

census: $(VENV)/.dev  ## run apps of every kind by themselves and as Spaces, and compare
	@$(BIN)/python -m tests.census $(ARGS)

bench: $(VENV)/.dev  ## measure: the same app by itself and behind Spaceport
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(VENV)/.dev  ## break everything under load and count what is lost
	@$(BIN)/python -m tests.chaos $(ARGS)

lint: $(VENV)/.dev  ## ruff, mypy, import borders and cycles, sizes, migrations
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/djade --check --target-version 5.2 $(TEMPLATES)
	@$(BIN)/lint-imports
	@$(BIN)/loq check
	@$(BIN)/python -m tests.lint
	@$(BIN)/mypy .
	@$(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/.dev  ## put the code into shape
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	@$(BIN)/djade --target-version 5.2 $(TEMPLATES)

docs: $(VENV)/.dev  ## generate the tables of docs/reference/
	@$(BIN)/python -m tests.reference

clean:  ## remove the environment (data under .spaceport stays)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
