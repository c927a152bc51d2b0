# make help lists what there is.
.DEFAULT_GOAL := help
.PHONY: help repro test test-containers lint images bench clean
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/installed
TESTS ?= tests
# Those that need no photos of yours, and no hours.
BENCHMARKS ?= train matching occlusion_step wider_evaluation retinaface

help:  ## this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(INSTALLED)  ## the whole pipeline on the data set of params.yaml; installs what it needs first
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

test: $(INSTALLED)  ## the tests, but for those of the images; TESTS=tests/core for some
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not containers" $(TESTS)

test-containers: $(INSTALLED)  ## the tests of the images: builds them, runs them; needs a Docker engine
	@$(BIN)/pytest -m containers $(TESTS)

lint: $(INSTALLED)  ## ruff check, ruff format --check, mypy on core
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

images:  ## the six images
	@docker compose build train  # alone first: six builds at once would each pack the shared layers
	@docker compose build

bench: $(INSTALLED)  ## speed, side by side with what one would run instead
	@for benchmark in $(BENCHMARKS); do $(BIN)/python "benchmarks/$$benchmark.py" || exit 1; done

clean:  ## removes what the stages wrote (dvc checkout brings it back) and tools' caches; keeps .venv and your data
	@rm -rf artifacts data/sample data/processed data/.scratch .pytest_cache .mypy_cache .ruff_cache
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: .venv
.venv: $(INSTALLED)  ## the virtual environment, as constraints.txt says

# An installation that was interrupted leaves `installing`, and the next one starts from nothing.
$(INSTALLED): constraints.txt requirements-dev.txt $(wildcard */pyproject.toml)
	@test -n "$(PYTHON)" || { echo "make: there is no python3. Install Python 3.11, or: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V), 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test ! -e .venv/installing || rm -rf .venv
	@echo "Installing into .venv: 5.5 GB, most of it torch for CUDA; some minutes, once"
	@$(PYTHON) -m venv .venv && touch .venv/installing
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps -r constraints.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -r requirements-dev.txt
	@mv .venv/installing $@
