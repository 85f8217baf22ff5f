# Everything a developer or CI runs. `make demo` shows it, `make test` proves it.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# sinabs asks for an older nir, and for a driver that installs itself from elsewhere when imported;
# its simulator and its importer need neither. Brevitas asks for older build tools than it needs.
JUDGES := sinabs nirtorch pbr brevitas dependencies unfoldNd

.PHONY: demo test test-full test-netx check bench fuzz validation lava clean

demo: $(VENV)/.demo lava  ## compile, run, price and verify a trained network; leaves ./demo/
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev lava  ## all but the long suites
	$(BIN)/python -m pytest -n 2 -m "not full"

test-full: $(VENV)/.dev lava  ## the long suites too
	$(BIN)/python -m pytest -n 2

test-netx: $(VENV)/.dev  ## .net files in lava-dl and Lava: an environment of 2 GB, made once
	SNNDEPLOY_NETX_PYTHON=$$($(BIN)/python tests/netx/netx_env.py) && export SNNDEPLOY_NETX_PYTHON \
	&& $(BIN)/python -m pytest -n 0 tests/netx

check: $(VENV)/.dev  ## style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## time what users wait for
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

fuzz: $(VENV)/.dev  ## damage files of every kind for five minutes each
	$(BIN)/python tests/fuzz/fuzz_readers.py --seconds 300

validation: $(VENV)/.dev  ## write VALIDATION.md: published measurements beside ours
	$(BIN)/python tests/validation/make_validation.py

# Lava has its own interpreter (Python 3.10). Without one the rest works; in CI that is a failure.
lava: $(VENV)/.demo
	@$(BIN)/python -m hwtargets.loihi.lava_env >/dev/null || { test -z "$$CI" && echo "going on without Lava"; }

clean:  ## what can be made again, the environment left alone
	rm -rf demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find snndeploy hwtargets tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found; name one: make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[data]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	$(INSTALL) --no-deps $(JUDGES)
	@touch $@ $(VENV)/.demo
