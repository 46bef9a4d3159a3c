# notebooks/install.md has the same commands without make.
PYTHON ?= python3
VENV   ?= .venv
TORCH  ?=
BIN    := $(VENV)/bin

.PHONY: help demo test campaign test-colab test-oldest bench lab notebooks book assignments lint clean
help:
	@echo "make demo       the held-out digit from end to end: table, web page and picture in runs/demo"
	@echo "make test       the whole suite, notebooks included, in smoke mode"
	@echo "make campaign   an hour of trying to break it: bad input, damage, kills, full disks; resumes where it was stopped"
	@echo "make test-colab   notebooks and explorers with Colab's versions; make test-oldest: with the oldest versions allowed"
	@echo "make bench      race our distillation step against the usual one, and time the students' sampling: 5 minutes"
	@echo "make lab        JupyterLab on a copy of the notebooks, runs/notebooks, which keeps your changes"
	@echo "make notebooks  execute notebooks/*.py and rewrite the paired .ipynb"
	@echo "make book       the walk as an offline, searchable website, from the committed notebooks: dist/book"
	@echo "make assignments  notebooks to hand out and archives to grade them with: dist/course"
	@echo "make lint       ruff"
	@echo "The first of these sets up $(VENV): TORCH=cpu leaves out the GPU libraries, PYTHON=python3.12 chooses that Python"

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 14) else "rcedu needs Python 3.11 to 3.13; choose one: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH),$(BIN)/python -m pip install --quiet torch torchvision --index-url https://download.pytorch.org/whl/$(TORCH))
	$(BIN)/python -m pip install --quiet -e ".[dev,course]"
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m rcedu demo

test: $(VENV)/.installed
	RCEDU_PRESET=smoke $(BIN)/python -m pytest

# See `python -m tests.campaign --help` for more: one kind, one trial, the figures in notebooks/promises.md.
campaign: $(VENV)/.installed
	$(BIN)/python -m tests.campaign

# The notebooks, and the explorers in a browser, each in a separate environment with the versions from requirements/.
test-colab: PYTHON := python3.13
test-oldest: PYTHON := python3.11
test-colab test-oldest: test-%: requirements/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade pip
	.venv-$*/bin/python -m pip install --quiet -c requirements/$*.txt -e ".[dev]"
	RCEDU_PRESET=smoke .venv-$*/bin/python -m pytest tests/figures notebooks

bench: $(VENV)/.installed
	$(BIN)/python -m rcedu bench

lab: $(VENV)/.installed
	$(BIN)/python -m rcedu lab

notebooks: $(VENV)/.installed
	$(BIN)/python -m rcedu notebooks

book: $(VENV)/.installed
	rm -rf dist/book
	$(BIN)/python -m sphinx -q -E -c book -d build/book . dist/book
	@echo "open dist/book/index.html in a browser"

assignments: $(VENV)/.installed
	$(BIN)/python -m rcedu assignments

lint: $(VENV)/.installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check rcedu tests book

clean:
	rm -rf runs dist build *.egg-info .pytest_cache .ruff_cache
