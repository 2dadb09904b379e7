# The commands of the README. Each one makes .venv when it is missing, and installs again when pyproject.toml or
# constraints.txt has changed. Written for GNU make 3.81 too, which macOS has.

SHELL := /bin/bash
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help demo test test-thorough test-zoo layers fuzz lint bench bench-core format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## build LeNet on every backend and compare them on real handwritten digits
	@$(BIN)/python examples/demo.py

test: $(INSTALLED) ## run all tests, in two processes
	@$(BIN)/pytest -n 2 --dist loadfile

test-thorough: $(INSTALLED) ## run what takes too long for every run: the other planted mistakes
	@$(BIN)/pytest -m thorough

test-zoo: $(INSTALLED) ## run every model of the zoo on every backend, against torchvision's logits
	@$(BIN)/pytest -m "not thorough" tests/zoo tests/core/test_resolve.py

layers: $(INSTALLED) ## write anew what docs/layers.md says of each layer, after the conformance suite
	@NETSPEC_WRITE_SUPPORT=1 $(BIN)/pytest -q tests/conformance/test_agreement.py
	@$(BIN)/netspec layers --format markdown > docs/layers.md

SECONDS_EACH ?= 60
fuzz: $(INSTALLED) ## fuzz the readers with atheris: make fuzz SECONDS_EACH=600
	@for target in spec text expression weights; do \
	    PYTHONPATH=.:backends $(BIN)/python -m tests.fuzz.fuzz $$target -max_total_time=$(SECONDS_EACH) || exit 1; done

lint: $(INSTALLED) ## check style, types, imports and spelling
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell

bench: $(INSTALLED) ## time netspec beside hand-written models
	@$(BIN)/python benchmarks/run.py

bench-core: $(INSTALLED) ## time counts of large models, growth with size, and the start
	@$(BIN)/python benchmarks/core.py

format: $(INSTALLED) ## mend what ruff can mend, and format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove caches and build outputs (.venv stays)
	rm -rf build dist .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# Plain pip, so that its own settings (PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf) decide where packages come from.
# Of its several hundred lines only those of large files and of the last step are shown; errors pass through.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "netspec needs Python 3.11 or later, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@echo "installing into .venv: every framework and tool, about 3.4 GB; this takes a few minutes the first time"
	@set -o pipefail; $(BIN)/pip install --progress-bar off -c constraints.txt -e '.[all,dev,fuzz]' | grep --line-buffered -o -E \
	    '^ *(Downloading|Using cached) [^ ]+ \([0-9.]+ [MG]B\)|^Processing [^ ]+whl|^Installing collected packages'
	@touch $(INSTALLED)
