# `make help` explains itself. Needs Python >= 3.10 and make; everything else is installed from locks/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The first interpreter that is new enough; `make PYTHON=python3.12 demo` overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then echo $$p; break; fi; done)
VENV ?= .venv
VENV_TORCH ?= .venv-torch
TORCH := torch==2.13.0
# Two at a time, a file as a whole: most of these tests wait for servers, clients and clocks.
PARALLEL := -n 2 --dist loadfile

PIP := -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps
BIN := $(VENV)/bin
TORCH_BIN := $(VENV_TORCH)/bin

export PIP_NO_WARN_SCRIPT_LOCATION := 1

## Everyday

demo: $(VENV)/.demo ## The whole pipeline on this machine: plan, build, serve, smoke, bench, gate, report
	@$(BIN)/trt-nemotron check --target cpu

test: test-main test-torch ## All tests that need no device, torch ones in an environment of their own

test-fast: $(VENV)/.dev ## The inner loop: no torch, nothing slow, within a minute
	$(BIN)/python -m pytest $(PARALLEL) -m "not torch and not device and not slow and not browser"

check: lint types docs-check ## Lint, types, documentation: what CI runs first

format: $(VENV)/.dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## Parts of the above

test-main: $(VENV)/.dev ci-packages ## All tests but those with torch
	$(BIN)/python -m pytest $(PARALLEL) -m "not torch and not device"

test-torch: $(VENV_TORCH)/.dev ## The tests with torch
	$(TORCH_BIN)/python -m pytest -m "torch and not device"

lint: $(VENV)/.dev ## ruff, rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

docs-check: $(VENV)/.dev ## Links, commands and options shown in the documentation
	$(BIN)/python tools/check_docs.py

# Tests open the report in Chromium and run servers in containers with podman, where there are such. A CI
# machine of Debian's kind gets both here; nobody's own machine is changed. With CI set a missing engine
# is a failure; without it those tests are skipped, with the reason.
CI_PACKAGES := chromium podman runc catatonit slirp4netns containernetworking-plugins iptables busybox-static
ci-packages:
	@if [ -n "$${CI:-}" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
	&& ! dpkg -s $(CI_PACKAGES) >/dev/null 2>&1; then \
		echo "installing $(CI_PACKAGES)"; \
		{ apt-get -qq update && apt-get -qq install -y --no-install-recommends $(CI_PACKAGES); } \
			>.ci-packages.log 2>&1 || { tail -5 .ci-packages.log; echo "not all could be installed"; }; \
		rm -f .ci-packages.log; fi

## Environments and artefacts

env: $(VENV)/.dev ## The development environment (.venv)

env-torch: $(VENV_TORCH)/.dev ## The environment with torch and transformers (.venv-torch)

lock: $(VENV)/.dev ## Renew locks/ from pyproject.toml
	$(BIN)/python tools/lock.py

train: $(VENV_TORCH)/.dev ## Train the embedded checkpoint again into build/embedded (five to six minutes on an idle core)
	$(TORCH_BIN)/python -m training.train --out build/embedded

wheel: $(VENV)/.dev ## Build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean: ## Remove environments, caches and what the commands wrote here
	rm -rf .venv .venv-torch .cache build dist trt-nemotron-check .mypy_cache .ruff_cache .pytest_cache .hypothesis

help: ## This text
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "error: no Python >= 3.10 found; name one: make PYTHON=/path/to/python3 ..." >&2; exit 3; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)

$(VENV_TORCH)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "error: no Python >= 3.10 found; name one: make PYTHON=/path/to/python3 ..." >&2; exit 3; }
	@echo "creating $(VENV_TORCH) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV_TORCH)

# The package itself is installed editable, with the locked build backend and without the network.
INSTALL_SELF := -m pip --disable-pip-version-check --quiet install --no-build-isolation --no-deps --no-index -e .

$(VENV)/.demo: locks/demo.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing locks/demo.txt"
	@$(BIN)/python $(PIP) -r locks/demo.txt
	@$(BIN)/python $(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: locks/dev.txt $(VENV)/.demo
	@echo "installing locks/dev.txt"
	@$(BIN)/python $(PIP) -r locks/dev.txt
	@touch $@

# torch comes last and without a hash: its file differs by index and platform (CPU, CUDA). On Linux the
# default index serves the CUDA build; set PIP_EXTRA_INDEX_URL to PyTorch's CPU index for the small one.
$(VENV_TORCH)/.dev: locks/torch.txt pyproject.toml | $(VENV_TORCH)/bin/python
	@echo "installing locks/torch.txt and $(TORCH)"
	@$(TORCH_BIN)/python $(PIP) -r locks/torch.txt
	@$(TORCH_BIN)/python -m pip --disable-pip-version-check --quiet install $(TORCH)
	@$(TORCH_BIN)/python $(INSTALL_SELF)
	@touch $@

.PHONY: demo test test-fast check format test-main test-torch lint types docs-check ci-packages env env-torch \
	lock train wheel clean help
