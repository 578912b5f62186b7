# `make` lists what can be done; `make reproduce` does what this project is for.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help reproduce claims-page quick notebook lab site test test-parameters bench rivals network fuzz \
  fuzz-raw fuzz-repaired federated lint clean FORCE

# Without PYTHON= a virtual environment is made from the lock; with it, that Python is used as it is.
ifndef PYTHON
PYTHON := .venv/bin/python
READY := .venv/ready
endif
BASE_PYTHON ?= python3
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

SOURCES := $(sort $(wildcard notebooks/[0-9][0-9]_*.ipynb))
STEMS := $(SOURCES:notebooks/%.ipynb=%)
EXECUTED := $(STEMS:%=build/notebooks/%.ipynb)
# A notebook imports paper_code, whose __init__ imports every module: all of them are inputs.
# Only the runners are not; they decide nothing that a notebook computes.
INPUTS := $(filter-out paper_code/companion/run_notebooks.py paper_code/companion/reproduce.py, \
            $(wildcard paper_code/*.py paper_code/*/*.py paper_code/*/*/*.py)) \
          $(wildcard data/*.toml data/*.json examples/*.py benchmarks/results/bench.json benchmarks/results/network.json) requirements.lock build/data-source

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile
	@echo "Add PYTHON=python to use the active environment instead of making .venv."

# Each notebook older than its inputs puts itself on a list, below; one process runs the whole list,
# because kernels started by several processes at once can race for a port.
reproduce: $(EXECUTED) $(READY)  ## run every notebook whose inputs changed, then judge each claim of the paper
	@$(PYTHON) -m paper_code.companion.reproduce $(STALE)

claims-page: $(READY)  ## write docs/claims.md from the committed results
	@$(PYTHON) -m paper_code.companion.claim_table docs/claims.md

quick: $(READY)  ## every notebook with quick=True, in a minute or two; writes under build/quick only
	@$(PYTHON) -m paper_code.companion.run_notebooks --output build/quick -p quick True $(SOURCES)

notebook: build/data-source $(READY)  ## one notebook: NB=07, or NB=07 ARGS="-p alpha 0.2" into build/07_ridge/alpha=0.2
	@test -n "$(NB)" || { echo 'Say which notebook: make notebook NB=07'; exit 2; }
	@test -n "$(wildcard notebooks/$(NB)*.ipynb)" || \
	  { echo 'There is no notebook NB=$(NB); there are: $(STEMS)'; exit 2; }
	@$(PYTHON) -m paper_code.companion.run_notebooks $(ARGS) $(wildcard notebooks/$(NB)*.ipynb)

lab: $(READY)  ## open the notebooks in JupyterLab; ARGS="--port 9999"
	$(PYTHON) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS) notebooks

site: reproduce  ## build the site of notebooks, claims and library into build/site
	@$(PYTHON) docs/build.py

test: $(READY)  ## run the tests, doctests included
	$(PYTHON) -m pytest -n 2 $(ARGS)

test-parameters: $(READY)  ## run every notebook with several values of each parameter, one at a time
	$(PYTHON) -m pytest -n 2 -m one_parameter tests/companion/test_notebook_parameters.py $(ARGS)

bench: $(READY)  ## time every compressor beside the peers installed with '.[bench]'; ARGS=--quick
	$(PYTHON) -m benchmarks.run $(ARGS)

network: $(READY)  ## train over links that are really slow (Linux, root); ARGS="--budget 25" minutes
	$(PYTHON) -m benchmarks.network $(ARGS)

rivals: $(READY) build/nncodec/ready  ## ours at the error that each peer reached, NNCodec among them; ARGS=--quick
	$(PYTHON) -m benchmarks.rivals --nncodec build/nncodec/bin/python $(ARGS)

# Its torch and NumPy are not ours. Of what it asks for only what compressing needs.
build/nncodec/ready: benchmarks/nncodec.txt
	$(BASE_PYTHON) -m venv --clear build/nncodec
	build/nncodec/bin/python -m pip install --quiet torch==2.13.0 'numpy<2' setuptools wheel pybind11
	build/nncodec/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

fuzz: fuzz-raw fuzz-repaired  ## decode hostile bytes for T=60 seconds a target (Linux on x86-64)

fuzz-raw fuzz-repaired: fuzz-%: $(READY) build/fuzz/atheris
	PYTHONPATH=build/fuzz/atheris:$$PYTHONPATH $(PYTHON) fuzz/run.py $* --seconds $(or $(T),60)

# Not in the lock, which is for every platform, and not in anybody's environment.
build/fuzz/atheris: fuzz/requirements.txt | $(READY)
	$(PYTHON) -m pip install --quiet --upgrade --target $@ --requirement $<
	@touch $@

federated: $(READY) build/federated/flower  ## run the tests of what works with Flower
	PYTHONPATH=build/federated/flower:$$PYTHONPATH $(PYTHON) -m pytest tests/distributed/test_flower*.py $(ARGS)

# Not in the lock either: only who wants Flower needs it.
build/federated/flower: examples/federated/requirements.txt | $(READY)
	$(PYTHON) -m pip install --quiet --no-deps --upgrade --target $@ --requirement $<
	@touch $@

lint: $(READY)  ## check style, format, types, and that imports run downwards only
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command as lint; lint()'

clean:  ## remove what make made, except .venv and the committed results and figures
	rm -rf build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . \( -path ./.venv -o -path ./.git \) -prune -o -type d -name __pycache__ -exec rm -rf {} +
	find . \( -path ./.venv -o -path ./.git \) -prune -o -type f -name '.*.tmp' -exec rm -f {} +

$(EXECUTED): build/notebooks/%.ipynb: notebooks/%.ipynb $(INPUTS)
	$(eval STALE += $<)

# Changes only when another data folder is named, so that the results follow it.
build/data-source: FORCE
	@mkdir -p build
	@echo "$(PAPER_DATA_DIR)" | cmp -s - $@ || echo "$(PAPER_DATA_DIR)" > $@

.venv/ready: requirements.lock
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python 3.11 or newer is needed; this is %d.%d. Name one with BASE_PYTHON=." % sys.version_info[:2])'
	@echo "Making .venv from requirements.lock: a few minutes, once."
	$(BASE_PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --progress-bar on --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
