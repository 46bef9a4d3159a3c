# Everything here is also spelled out without make in README.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo test bench lab notebooks book assignments lint clean
help:
	@echo "make demo       the held-out digit from end to end: table, web page and picture in runs/demo"
	@echo "make test       the whole suite, notebooks included, in smoke mode"
	@echo "make bench      our distillation step in a race with the usual one, and how fast the students draw: 5 minutes"
	@echo "make lab        JupyterLab on notebooks/"
	@echo "make notebooks  execute notebooks/*.py and rewrite the paired .ipynb"
	@echo "make book       the walk as a website, offline and searchable, from the notebooks as committed: dist/book"
	@echo "make assignments  what a course hands out, and what grades it: dist/course"
	@echo "make lint       ruff"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m rcedu demo

test: $(VENV)/.installed
	RCEDU_PRESET=smoke $(BIN)/python -m pytest

bench: $(VENV)/.installed
	$(BIN)/python -m rcedu bench

lab: $(VENV)/.installed
	$(BIN)/python -m jupyterlab notebooks

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
