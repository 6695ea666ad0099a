# Phantom Spire. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test test-setup check test-only bench bench-peers lock clean
SHELL := /bin/sh
BIN := .venv/bin
# More than cores: many tests wait for a server, a browser or a kill.
WORKERS ?= 3

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/run.stamp ## Install what is needed and serve on http://127.0.0.1:8501
	@$(BIN)/spire serve

test: test-setup ## Everything: set up, check, and the whole test suite
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test-only

test-setup: .venv/test.stamp ## Install what tests need: packages, servers, Chromium
	@tests/setup/chromium.sh
	@tests/setup/taxii.sh
	@tests/setup/misp.sh
	@tests/setup/openbao.sh
	@tests/setup/mariadb.sh

test-only:
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25

check: .venv/test.stamp ## Style, types and the direction of imports
	@failed=; \
	for tool in "ruff check --output-format concise" "ruff format --check --output-format concise" mypy "lint-imports --no-logo"; do \
		echo "$$tool"; $(BIN)/$$tool || failed="$$failed $${tool%% *}"; \
	done; \
	[ -z "$$failed" ] || { echo "Not clean:$$failed"; exit 1; }

bench: .venv/run.stamp ## Measure the whole path against its limit
	@$(BIN)/python -m benchmarks.run_all $(ARGS)

bench-peers: .venv/run.stamp ## The same, and against other loaders in an environment of their own
	@benchmarks/peers.sh
	@$(BIN)/python -m benchmarks.run_all --peers $(ARGS)

lock: ## Resolve pyproject.toml again into both lock files
	@scripts/lock.sh

clean: ## Remove all that was made here, except data
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run.stamp: requirements.lock pyproject.toml scripts/venv.sh
	@scripts/venv.sh requirements.lock
	@touch $@

.venv/test.stamp: requirements-test.lock pyproject.toml scripts/venv.sh
	@scripts/venv.sh requirements-test.lock
	@touch .venv/run.stamp $@
