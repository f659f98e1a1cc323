# Everything a contributor needs. On a fresh machine `make demo` and `make test` do their own
# set-up; they need Python 3.11 or newer, make and a package index.
#
#   make demo     the whole way on two bundled people, into out/demo/
#   make test     the tests, in some minutes   (ARGS="tests/test_project.py -k name" for some)
#   make test-long  the long ones: whole ways, killed and resumed, full disks
#   make test-all   both
#   make check    lint, types and tests
#   make docs     the documentation as web pages, into out/docs/
#   make bench    the table of measurements
#   make bench-trust  what marks, signatures, the ledger and `verify` withstand
#   make bench-film   how good the film itself is: truth, seams, steadiness, the actor
#   make bench-base   what the base that trainings begin with is worth; some hours
#
# PYTHON=...       the interpreter to build the environment with
# TORCH_INDEX=...  an index with another build of torch; on Linux without a GPU
#                  https://download.pytorch.org/whl/cpu saves some gigabytes

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
WEIGHTS := $(VENV)/.weights-fetched
DOCS_STAMP := $(VENV)/.docs-set-up
CODE := src tests benchmarks examples tools

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup weights demo test test-long test-all lint format check docs bench bench-trust bench-film bench-base clean

help:
	@sed -n '1,/^$$/s/^#\{1,\} \{0,1\}//p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      echo "Making $(VENV) with $$python"; \
	      $$python -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	      break; \
	    fi; \
	  done; \
	  test -x $(BIN)/python || { \
	    echo "error: no Python 3.11 or newer was found." >&2; \
	    echo "do:    install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  }; \
	}
	@$(BIN)/python -c "import tomllib; groups = tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']; print(*groups['dev'], sep='\n')" > $(VENV)/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  --constraint constraints.txt --editable '.[export]' --requirement $(VENV)/dev.txt
	@touch $@

weights: $(WEIGHTS)

$(WEIGHTS): $(STAMP)
	$(BIN)/understudy weights
	@touch $@

demo: $(WEIGHTS)
	$(BIN)/understudy demo out/demo

# As many workers as there are cores, with a thread each: threads that wait for one another at a
# barrier make a busy machine many times slower. A file stays with one worker, which shares what
# its tests are built on.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test: $(WEIGHTS)
	$(PYTEST) $(if $(ARGS),$(ARGS),-m "not slow")

test-long: $(WEIGHTS)
	$(PYTEST) -m slow $(ARGS)

test-all: $(WEIGHTS)
	$(PYTEST) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check $(CODE) docs/conf.py
	$(BIN)/ruff format --check $(CODE) docs/conf.py
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix $(CODE) docs/conf.py
	$(BIN)/ruff format $(CODE) docs/conf.py

check: lint test-all

$(DOCS_STAMP): $(STAMP)
	@$(BIN)/python -c "import tomllib; groups = tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']; print(*groups['docs'], sep='\n')" > $(VENV)/docs.txt
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet \
	  --constraint constraints.txt --requirement $(VENV)/docs.txt
	@touch $@

# A broken link or a name that is not there is an error. Nothing is fetched while it builds.
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet \
	  --doctree-dir out/docs-doctrees docs out/docs
	@echo "Open out/docs/index.html"

bench: $(WEIGHTS)
	$(BIN)/python -m benchmarks

bench-trust: $(WEIGHTS)
	$(BIN)/python -m benchmarks.trust

bench-film: $(WEIGHTS)
	$(BIN)/python -m benchmarks.film

bench-base: $(WEIGHTS)
	$(BIN)/python -m benchmarks.base

clean:
	rm -rf $(VENV) build dist out .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
