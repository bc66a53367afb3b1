VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN := $(VENV)/bin/python

# Example backends in environments of their own; PEERS names some of them. Enzyme (jax_enzyme) takes 1 GB: name it.
PEERS ?= casadi chainer mygrad pytensor uncertainties

# Extras that `make compare` installs: the frameworks that it runs, and what draws the report of a run.
COMPARED := torch,tensorflow,jax,report

# Where bytecode is not kept, every process that a test starts compiles the package, and every run of pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: compare test test-rest test-all lowest peers mutants lint docs site sample clean

compare: $(VENV)/.compared
	$(RUN) compare.py run --quick --out results --suite classic engine_logistic/medium engine_mixture/medium engine_network/medium

# What a change is tried with: every room, and every operator, backend and dtype that the cross-checks have.
test: $(VENV)/.installed
	$(RUN) -m pytest -m "not thorough"

# The tests that `make test` leaves out.
test-rest: $(VENV)/.installed
	$(RUN) -m pytest -m thorough

test-all: $(VENV)/.installed
	$(RUN) -m pytest

# Every dependency at its lower bound, in an environment of its own.
lowest: $(VENV)/.installed
	$(RUN) -m tests.packaging.lowest

# Systems that are not installed here: their environments in .peers/, and the tests of their example backends.
peers: $(VENV)/.installed
	$(RUN) -m tests.peers.environments $(PEERS)
	$(RUN) -m pytest tests/peers

# Single-line changes of the judge, the clock, the statistics and the rules that no test notices; minutes for each room.
mutants: $(VENV)/.installed
	$(RUN) -m tests.mutation

lint: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# All shown output, made anew; the tests fail where it is stale.
docs: $(VENV)/.installed
	$(RUN) -m tests.documents.shown

# The documents as a site, with every link checked. To read it: python -m http.server --directory build/site
site: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

# The page and all figures of the sample run, made from its tables.
sample: $(VENV)/.compared
	$(RUN) compare.py report results/sample

clean:
	rm -rf $(VENV) .peers .lowest

# Everything comes from pyproject.toml and constraints.txt; a change of either installs again.
$(VENV)/.compared: pyproject.toml constraints.txt
	@echo 'Installing NumPy, PyTorch, TensorFlow, JAX and what draws reports into $(VENV), and nothing outside of it.'
	@echo 'On Linux: 3.5 GB to download. With a PyTorch without CUDA (docs/install.md): 1.0 GB, and 3.9 GB on disk.'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --constraint constraints.txt --editable '.[$(COMPARED)]'
	touch $@

# The tests, their tools and the other extras come on top.
$(VENV)/.installed: $(VENV)/.compared
	$(RUN) -m pip install --constraint constraints.txt --editable '.[all,test,dev,docs]'
	touch $@
