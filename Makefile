# make demo: install, compare nine methods on the digits, print the path of the report.
# make test: install with the developers' tools, lint, check types, test.
# make docs: build the site with all examples run, into docs/_build/html; no network but for installing.
# make mutations: plant bugs in a copy of the last commit, one at a time; the tests must notice each.
# make fuzz: give the program 10,000 mutated inputs; each must end well. Some minutes; make fuzz FUZZOPTIONS="--seed 1".

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test lint unit slow docs mutations fuzz clean

demo: $(VENV)/installed
	@$(BIN)/landscape compare --task digits --out demo

test: lint unit

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2

slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 -m "slow and not gpu"

docs: $(VENV)/installed-docs
	MPLBACKEND=Agg $(BIN)/python -m sphinx -W --keep-going -q $(SPHINXOPTS) docs docs/_build/html
	@echo docs/_build/html/index.html

mutations: $(VENV)/installed-dev
	$(BIN)/python benchmarks/mutations.py --out benchmarks/results/mutations.md

fuzz: $(VENV)/installed-dev
	$(BIN)/python benchmarks/fuzz.py $(FUZZOPTIONS)

clean:
	rm -rf $(VENV) demo docs/_build docs/gallery build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV); the first time takes a few minutes."
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --editable ".[dev]"
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) --editable ".[docs]"
	@touch $@
