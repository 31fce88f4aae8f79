# make run     everything from a clean clone to the report of the default benchmark
# make test    the tests
# make check   format, lint, types, layers, tests
# make plugins the template and the adapters, installed beside the libraries that they adapt, and their tests
#              (CI runs check and plugins)

PYTHON ?= python3
BIN := .venv/bin
PLUGINS := $(wildcard plugins/influbench-* plugins/template/influbench-*)

.PHONY: run test check plugins format clean

run: .venv/installed
	$(BIN)/influbench run

test: .venv/installed-dev
	$(BIN)/pytest

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

plugins: .venv-plugins/installed
	for plugin in $(PLUGINS); do (cd $$plugin && "$(CURDIR)/.venv-plugins/bin/python" -m pytest) || exit 1; done

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
	rm -rf .venv .venv-plugins build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
