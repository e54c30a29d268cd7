# make env       the environment .venv, made when missing and renewed when pyproject.toml changes
# make demo      the whole line on a made-up picture book; report in demo-out/
# make test      lint, types, floors, and every test but the minutes-long ones
# make test-all  those too
# make lint      format, types and floors only
# make clean     caches

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# From the project's file, so that it is said in one place; installed first, or other packages may bring another torch.
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)

.PHONY: env demo lint test test-all clean

env: $(STAMP)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "installing the packages of pyproject.toml into $(VENV) (a minute or two)" >&2
	@$(PIP) "$(TORCH)"
	@$(PIP) -e '.[all,dev]'
	@touch $@

demo: env
	@$(BIN)/lookhear demo --out demo-out

lint: env
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/python benchmarks/help_speed.py

# One thread a worker: two workers with two threads each fight over two cores and are slower than this.
test: lint
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

test-all: lint
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m ""

# Caches and builds. The environment, demo-out and runs stay.
clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
