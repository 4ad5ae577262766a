# Slipway: `make rehearse` shows the main job, `make test` runs the tests. Both set everything up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.slipway-ready

.PHONY: setup rehearse test check bench bench-releases bench-serving soak lock clean

setup: $(READY)

$(READY): requirements.txt pyproject.toml scripts/setup_pulumi.py $(wildcard tools/pulumi/*/go.*)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 is needed, found: $$("$(PYTHON)" --version 2>&1 || echo none)"; \
	  echo "  install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned requirements into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep -o '^uv==[^ ]*' requirements.txt)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt || { \
	  echo "uv could not install them; trying pip, which reads pip's own configuration"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m scripts.setup_pulumi
	@touch $(READY)

rehearse: setup
	@$(BIN)/slipway rehearse

test: setup
	@$(BIN)/python -m pytest

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

bench: setup
	@$(BIN)/python -m benchmarks

# SEED, RELEASES (for each cell) and SCENARIOS (a JSON file) may be set; a run that was stopped goes on.
bench-releases: setup
	@$(BIN)/python -m benchmarks.release_quality $(if $(SEED),--seed $(SEED)) $(if $(RELEASES),--releases $(RELEASES)) $(if $(SCENARIOS),--scenarios $(SCENARIOS))

# PEERS=all: all servers that can be had; DIST: another package (OPTIONS=--allow-code if it runs code).
bench-serving: setup
	@$(BIN)/python -m benchmarks.serving $(if $(PEERS),--peers $(PEERS)) $(if $(DIST),--dist $(DIST)) $(OPTIONS)

soak: setup
	@$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(DIST),--dist $(DIST)) $(OPTIONS)

lock: setup
	@$(BIN)/uv pip compile requirements.in --quiet --python-version 3.11 --no-header --annotation-style line -o requirements.txt

clean:
	@test ! -x $(BIN)/slipway || $(BIN)/slipway cloud stop
	@rm -rf $(VENV) .slipway dist rehearsal .pytest_cache .ruff_cache .hypothesis *.egg-info
