# `make run` and `make test` are all that is needed on a machine with Python 3.11, pip and venv.

PYTHON ?= python3
BIN := .venv/bin
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy
# A proxy between here and the package index is vouched for by the system's certificates, not by those that uv brings.
ifneq ($(wildcard /etc/ssl/certs/*),)
export UV_SYSTEM_CERTS := 1
endif
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: run test setup check docs bench lock

run: setup ## set up, then the main job: load two weeks of traffic, build everything, serve the UI
	@$(BIN)/iris demo

test: setup ## set up, then every test
	@$(BIN)/python -m pytest -n 2 --dist loadscope

setup: .venv/installed ## make .venv from the lock file

.venv/installed: requirements.lock pyproject.toml
	@echo "installing into .venv (a minute on a fresh machine)"
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "IRIS needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep --only-matching '^uv==[0-9.]*' requirements.lock)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## everything that reads the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 iris_pipelines dbt_project/models dbt_project/tests
	$(BIN)/dbt --quiet --warn-error-options '{"error": ["Deprecations"]}' parse --project-dir dbt_project --profiles-dir dbt_project
	$(BIN)/dagster definitions validate --workspace workspace.yaml --log-level warning

docs: setup ## every model, column, test and reader on one page
	@$(BIN)/iris db upgrade
	@$(BIN)/iris dbt docs generate --static --quiet
	@$(BIN)/python -c 'from iris_pipelines.defs import column_lineage; column_lineage.write_column_lineage()'
	@echo "open dbt_project/target/static_index.html"

bench: setup ## every benchmark: ratios against a baseline of the same run
	@$(BIN)/iris bench

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --upgrade \
		--python-version 3.11 --custom-compile-command "make lock" --quiet --output-file requirements.lock
