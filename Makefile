# One environment (.venv) for everything: `make run` puts the runtime in it, `make dev` adds the tools.
# Needs only make and Python 3.11 or newer.

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
SOURCES = $(wildcard *_py accelerator certs tests benchmarks)

# The first of these that is new enough; `make PYTHON=/path/to/python3.12 ...` decides otherwise.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)

.PHONY: help run paths lab dev lint format test soak bench profile accelerated wheel certs proto system-deps clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

run: $(STAMPS)/runtime ## two node proxies, one real request through their tunnel; then serve (ONCE=1: end after the request)
	@$(BIN)/python -m ztunnel_py demo $(if $(ONCE),--once)

paths: $(STAMPS)/runtime ## three paths through sidecars, node proxies and a waypoint on loopback, judged; then serve (ONCE=1: end after them)
	@$(BIN)/python -m lab_py paths $(if $(ONCE),--once)

lab: $(STAMPS)/runtime ## three paths through real namespaces and redirection, every hop observed (Linux; root or user namespaces)
	@for path in ambient-to-sidecar sidecar-to-ambient sidecar-to-waypoint; do \
		$(BIN)/python -m lab_py run $$path || exit $$?; done

dev: $(STAMPS)/dev ## the development tools, in the same .venv

lint: $(STAMPS)/dev ## style and types: ruff check, ruff format --check, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(SOURCES)

format: $(STAMPS)/dev ## let ruff sort imports and lay out the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

test: $(STAMPS)/dev ## every test but the long ones (ARGS='-k name' chooses; REQUIRE_ALL=1: nothing may be skipped)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

soak: $(STAMPS)/dev ## the long tests
	@$(BIN)/python -m pytest -m soak -o faulthandler_timeout=900 $(ARGS) || { code=$$?; [ $$code -eq 5 ] || exit $$code; echo "soak: there is no such test"; }

bench: $(STAMPS)/bench ## measure both forms beside the real Envoy: table, JSON and plots (ARGS='--quick', ...)
	@HBONE_FORM=compiled $(BIN)/python -c 'import hbone_py.aio.form' 2>/dev/null || $(BIN)/python -m accelerator.build \
		|| echo "bench: no compiled form here; the plain one alone is measured" >&2
	$(BIN)/python -m benchmarks $(ARGS)

profile: $(STAMPS)/bench ## where our proxies spend their time: flame graphs, and the steps in docs/performance.md
	$(BIN)/python -m benchmarks.profile --docs $(ARGS)

accelerated: $(STAMPS)/dev ## compile the hottest modules (mypyc, and one in C); `--remove` in ARGS takes them away (docs/performance.md)
	@$(BIN)/python -m accelerator.build $(ARGS)

wheel: $(STAMPS)/dev ## wheels in dist/: for every machine, and for this interpreter with the compiled form inside
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@HBONE_ACCELERATED=1 $(PIP) wheel --no-deps --wheel-dir dist .
	@ls dist/*.whl

certs: $(STAMPS)/runtime ## a root and SPIFFE certificates in certs/out (ARGS='shop/cart', ...)
	@$(BIN)/python certs/make_certs.py $(ARGS)

proto: $(STAMPS)/dev ## message classes from mesh_py/xds/proto/*.proto
	$(BIN)/python -m mesh_py.xds.generate

system-deps: ## system packages that tests, lab and benchmarks use (apt as root; otherwise prints the list)
	@.ci/system-deps

clean: ## remove the environment, caches and generated certificates
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov certs/out benchmarks/.build hbone_py/_compiled
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Python 3.11 or newer is needed, '$(PYTHON)' is $$($(PYTHON) -V 2>&1 | head -n 1); say: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(STAMPS)/runtime: pyproject.toml | $(BIN)/python
	@mkdir -p $(STAMPS)
	@echo "installing the runtime libraries into $(VENV) (a minute the first time)"
	@$(PIP) install --editable .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/runtime
	@echo "installing the development tools into $(VENV) (a minute the first time)"
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(STAMPS)/bench: $(STAMPS)/dev
	@echo "installing the benchmark tools into $(VENV)"
	@$(PIP) install --editable '.[bench]'
	@touch $@
