# The commands of this project. `make` alone lists them.
# Everything runs from .venv, which `setup` makes: nothing has to be activated.
# Plain POSIX shell and no GNU make feature newer than 3.81, which is what macOS ships.

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
UI_PORT ?= 5000
BENCH_PEERS_VENV ?= .venv-peers

# The lock was resolved on 3.11, so that version is tried first. Set PYTHON to choose another.
PYTHON ?=
CANDIDATES := $(PYTHON) $(if $(PYTHON),,python3.11 python3.12 python3.13 python3)
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: help setup test test-fast proofs fix demo ui serve bench-data bench-around bench-sweep bench-serving bench-peers-setup lock clean clean-var

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## Make .venv and install what requirements.lock names (does nothing when that is done)
	@:

# The stamp is written last: an interrupted installation is taken up again by the next call.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PY) -c '$(USABLE)' 2>/dev/null || { \
	  found=; for python in $(CANDIDATES); do \
	    if $$python -c '$(USABLE)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11 or newer with its venv module is needed. Tried: $(strip $(CANDIDATES))." >&2; \
	    echo "Install it (Debian, Ubuntu: python3 and python3-venv), or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	}
	@echo "Installing requirements.lock into $(VENV) (2.5 GB with torch's CPU build; a few minutes the first time)"
	@$(PY) -m pip install -qq --disable-pip-version-check --requirement requirements.lock
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $@

test: setup ## Lint, format, types and every test: what CI runs
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check . || { echo "Some files are not formatted: run 'make fix'." >&2; exit 1; }
	@$(PY) -m mypy --no-error-summary
	@$(PY) -m pytest --quiet

test-fast: setup ## The tests that take a few seconds each: some minutes in all
	@$(PY) -m pytest --quiet -m "not slow"

proofs: setup ## The tests of endurance at full length, and those of the benchmarks' peers
	@PROOFS=whole $(PY) -m pytest --quiet -s -m slow tests/serving tests/end_to_end/test_kill.py tests/benchmarks

fix: setup ## Repair what the linter can repair, and format
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format --quiet .

demo: setup ## Three sweeps on real tables, a leaderboard each, and the champions answering HTTP
	@$(PY) -m pipelines.demo

ui: setup ## Show every run in MLflow's own UI (UI_PORT=5000)
	@[ -f var/mlflow.db ] || { echo "There are no runs yet: var/mlflow.db is missing. Run 'make demo' first." >&2; exit 1; }
	@echo "MLflow UI on http://127.0.0.1:$(UI_PORT) (Ctrl-C ends it)"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(PY) -m mlflow server --host 127.0.0.1 --port $(UI_PORT) --workers 1 \
	  --backend-store-uri sqlite:///var/mlflow.db --artifacts-destination var/artifacts

serve: setup ## Serve the registered champions over HTTP
	@$(PY) -m serving

bench-data: setup ## Read, split and encode a table of 1,000,000 rows, beside polars' bare read
	@$(PY) -m benchmarks.data

bench-sweep: setup ## What a trial costs in a stack, beside Lightning, torch, scikit-learn, Optuna and Ray Tune
	@$(PY) -m benchmarks.sweep

bench-serving: setup ## What an answer costs beside a no-op, MLflow, BentoML, LitServe and MLServer
	@$(PY) -m benchmarks.serving

# They do not install together with the product, so they have an environment of their own.
bench-peers-setup: setup ## Install the servers that bench-serving is compared with (BENCH_PEERS_VENV=.venv-peers)
	@$(PY) -m venv $(BENCH_PEERS_VENV)
	@$(BENCH_PEERS_VENV)/bin/python -m pip install -qq --disable-pip-version-check --requirement benchmarks/serving/peers.txt

bench-around: setup ## Compose, plan and log 256 trials: what a sweep costs beside its training
	@$(PY) -m benchmarks.around

# The environment's own downloads stay out of the lock, so that it installs anywhere: no file addresses,
# no `+cpu` builds, and none of the CUDA packages that torch itself asks for where it needs them.
lock: setup ## Resolve pyproject.toml again and write requirements.lock (LOCK_FLAGS=--upgrade for newer versions)
	@cp requirements.lock $(VENV)/requirements.new
	@CUSTOM_COMPILE_COMMAND="make lock" $(PY) -m piptools compile --quiet --extra dev --strip-extras --unsafe-package pip \
	  --no-emit-options --annotation-style line $(LOCK_FLAGS) --output-file $(VENV)/requirements.new pyproject.toml
	@sed -e '/ @ file:/d' -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton==/d' -e 's/+[a-z0-9]*  */  /' -e '/^$$/,$$d' \
	  $(VENV)/requirements.new > requirements.lock
	@rm $(VENV)/requirements.new

clean: ## Remove caches and build leftovers; .venv and var/ stay
	@echo "Removing the caches of ruff, mypy, pytest, hypothesis, import-linter and Python (.venv and var/ stay)"
	@rm -rf .ruff_cache .mypy_cache .pytest_cache .hypothesis .import_linter_cache dist *.egg-info
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-var: ## Remove var/: every run, bundle and registered model made here (asks first)
	@printf 'Remove var/ with every run, bundle and registered model in it? [y/N] '; read answer || true; \
	  case "$$answer" in y|Y|yes) rm -rf var; echo "Removed var/.";; *) echo "Nothing was removed.";; esac
