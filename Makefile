# The project's commands. `make` lists them; each installs what it needs into this folder, and nothing outside of it
# but the package managers' own caches. A second run finds the stamps and starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .cache/peers
NPM := .cache/npm
POLYGLOT := .cache/npm-polyglot
ENVS := .cache/envs
INTEGRATIONS := openai pydantic_ai adk langchain litellm
JOBS ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test integrations check format bench compatibility docs proto lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Agents answer, the engine is killed and goes on: the two-minute tour
	$(BIN)/perdure demo --once

test: export PERDURE_TEST_SEED ?= 1
test: check $(PEERS)/.installed $(NPM)/.installed $(POLYGLOT)/.installed ## All checks and all tests
	$(BIN)/pytest -n $(JOBS) --dist worksteal --ignore=tests/integration --ignore=tests/conformance --ignore=tests/peers --ignore=tests/cluster --ignore=tests/e2e --ignore=tests/ext/three_sdks
	$(BIN)/pytest tests/conformance -n $(JOBS)
	$(BIN)/pytest tests/integration tests/peers tests/cluster tests/e2e
	$(MAKE) integrations

integrations: $(VENV)/.dev $(INTEGRATIONS:%=integration-%) ## Types and tests of perdure.ext, each framework in an environment of its own
	PERDURE_EXT_ENVS=$(abspath $(ENVS)) $(BIN)/pytest tests/ext/three_sdks

integration-%: $(ENVS)/%/.installed
	$(BIN)/pyright --pythonpath $(ENVS)/$*/bin/python src/perdure/ext/$*
	$(ENVS)/$*/bin/python -m pytest tests/ext/$* -n $(JOBS) --dist worksteal

# Each integration is checked where its framework is, by the rule above.
CHECKED := $(filter-out src/perdure/ext/,$(wildcard src/perdure/*.py src/perdure/*/ src/perdure/ext/*.py))

check: $(VENV)/.dev ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python $(CHECKED)

format: $(VENV)/.dev ## Put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev $(NPM)/.installed ## Measure beside the peers, print ratios
	$(BIN)/python -m benchmarks

compatibility: $(VENV)/.dev $(PEERS)/.installed $(NPM)/.installed ## Write docs/compatibility.md, out of a run with the peers
	$(BIN)/pytest tests/conformance -n $(JOBS) -p tests.conformance.compatibility

docs: $(VENV)/.dev $(NPM)/.installed ## Run every sample of the documentation
	$(BIN)/pytest tests/docs

proto: $(VENV)/.dev ## Generate the protocol's classes from wire.proto
	$(BIN)/python -m grpc_tools.protoc -I src/perdure/protocol --python_out=src/perdure/protocol \
		--pyi_out=src/perdure/protocol wire.proto

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url pyproject.toml --extra testing

lock: $(VENV)/.dev ## Pin what the tests run with anew: constraints.txt, constraints/
	$(LOCK) --extra local-llm --group dev --output-file constraints.txt
	$(foreach each,$(INTEGRATIONS),$(LOCK) --extra $(each) --group ext-$(each) \
		--output-file constraints/$(each).txt &&) true

clean: ## Remove all that these commands made
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis

# ---- installing ----

# Debian's python3 may lack ensurepip; say so rather than let venv print a riddle.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "perdure needs Python 3.11 or newer; PYTHON=... names one" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "this Python has no ensurepip: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

UV_INSTALL := $(BIN)/uv pip install --quiet --python

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV_INSTALL) $(BIN)/python --constraint constraints.txt --editable '.[local-llm]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV_INSTALL) $(BIN)/python --constraint constraints.txt --editable '.[local-llm,testing]' --group dev
	touch $@

# Frameworks exclude each other: an environment for each, named after its folder in src/perdure/ext.
.PRECIOUS: $(ENVS)/%/.installed
$(ENVS)/%/.installed: pyproject.toml constraints/%.txt | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(UV_INSTALL) $(@D)/bin/python --constraint constraints/$*.txt --editable '.[$*,testing]' --group ext-$*
	touch $@

# The official SDK in an environment of its own: it must not meet ours.
$(PEERS)/.installed: tests/conformance/package.json tests/conformance/pins.py | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	$(BIN)/python tests/conformance/pins.py | $(UV_INSTALL) $(PEERS)/bin/python --requirements -
	touch $@

$(NPM)/.installed: tests/conformance/package.json tests/conformance/package-lock.json
$(POLYGLOT)/.installed: examples/polyglot/package.json examples/polyglot/package-lock.json
$(NPM)/.installed $(POLYGLOT)/.installed:
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && SCARF_ANALYTICS=false npm ci --silent --no-audit --no-fund
	touch $@
