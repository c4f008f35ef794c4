# Two commands on a fresh machine:
#   make demo    environment + the main job on simulated corpora -> demo/report.html
#   make test    environment + the whole test suite
#
# PYTHON=python3.12       another interpreter (3.11 or newer)
# TORCH_INDEX=URL         an index that holds a CPU build of torch (see README)

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINED := PIP_CONSTRAINT=$(CURDIR)/constraints.txt
WORKERS ?= 2
PYTEST_ARGS ?=
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

.PHONY: help environment demo test test-slow coverage lint format types docs-check benchmarks clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo "also: test-slow coverage lint format types docs-check benchmarks clean"

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP) install -q -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(CONSTRAINED) $(PIP) install -q -e ".[test,quality]"
	@touch $(STAMP)

demo: environment
	$(BIN)/affectrum demo --out demo

test: environment
	$(PYTEST)

test-slow: environment
	$(PYTEST) -m slow

# Every test with coverage (.ci/run runs the same two halves apart, so that it fails early).
coverage: environment
	$(PYTEST) -m "slow or not slow" --cov=affectrum --cov-report=term:skip-covered --cov-fail-under=90

lint: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src tests benchmarks
	$(BIN)/deptry src

format: environment
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: environment
	$(BIN)/mypy

docs-check: environment
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/run_documented_commands.py README.md docs

benchmarks: environment
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis
