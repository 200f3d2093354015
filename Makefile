# `make demo` and `make test` are all the set-up there is: they make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2
# temporary files too stay in this folder
export TMPDIR := $(CURDIR)/.tmp
$(shell mkdir -p .tmp)
# and derivations that were made before
export CGC_CACHE := $(CURDIR)/.tmp/derivations
# and kernels that were compiled before
export CGC_KERNEL_CACHE := $(CURDIR)/.tmp/kernels

.PHONY: demo test slow check generated bench accuracy clean

demo: $(READY)
	$(BIN)/cgc demo

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS)

slow: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check cgc tests
	$(BIN)/ruff format --check --line-length 120 generated
	$(BIN)/mypy
	$(BIN)/lint-imports

generated: $(READY)
	$(BIN)/cgc compile specs/*.yaml

# torch comes first and by itself: a range, as pyproject.toml has it, could bring in a build for a GPU
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/families.py
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/pieces.py
	$(BIN)/python benchmarks/first_step.py
	$(BIN)/python benchmarks/page.py

accuracy: $(READY)
	$(BIN)/python benchmarks/accuracy.py digits

clean:
	rm -rf $(VENV) .tmp .pytest_cache .mypy_cache .ruff_cache .hypothesis runs
