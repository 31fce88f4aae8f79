# make run     everything from a clean clone to the report of the default benchmark
# make test    the tests, on every core with one thread each
# make check   format, lint, types, layers, tests
# make plugins the template and the adapters, installed beside the libraries that they adapt, and their tests
#              (CI runs check and plugins)
# make mutants changes the central modules in one place at a time, and says which changes no test notices (takes hours;
#              [tool.mutmut] in pyproject.toml)

PYTHON ?= python3
BIN := .venv/bin
PLUGINS := $(wildcard plugins/influbench-* plugins/template/influbench-*)

.PHONY: run test check plugins mutants format clean

run: .venv/installed
	$(BIN)/influbench run

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

plugins: .venv-plugins/installed
	for plugin in $(PLUGINS); do (cd $$plugin && "$(CURDIR)/.venv-plugins/bin/python" -m pytest) || exit 1; done

mutants: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children 1
	$(BIN)/python benchmarks/mutants.py -o benchmarks/results/mutants/mutants.json

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch .venv/installed $@

.venv-plugins/installed: pyproject.toml $(PLUGINS:=/pyproject.toml)
	$(PYTHON) -m venv .venv-plugins
	.venv-plugins/bin/pip install --quiet --editable .
	.venv-plugins/bin/pip install --quiet $(foreach plugin,$(PLUGINS),--editable "$(plugin)[test]")
	touch $@

clean:
	rm -rf .venv .venv-plugins build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
