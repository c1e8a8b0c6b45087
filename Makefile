# `make run` and `make test` are all that is needed on a machine with Python 3.11, pip and venv.

PYTHON ?= python3
BIN := .venv/bin
export UV_COMPILE_BYTECODE := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: run test setup check docs bench lock

run: setup ## set up, then the main job: load, build, serve
	$(BIN)/iris demo

test: setup ## set up, then every test
	$(BIN)/python -m pytest -n 2 --dist loadscope

setup: .venv/installed ## make .venv from the lock file

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: --requirement bootstrap.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

check: setup ## everything that reads the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint iris_pipelines dbt_project

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" --quiet --output-file requirements.lock
