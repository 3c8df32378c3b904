# Each target sets up what it needs; nothing has to be there but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS := prediction_assets_tests
# A worker runs whole files: what a file's tests share is made once. (xdist 3.8 silently ignores groups on pytest 9.2.)
# `make test` names the folders of the slow files first, so that the last ones to be given out are quick.
SUITE := $(BIN)/python -m pytest -n auto --dist loadfile
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Three times as fast as pip; with bytecode, or the first run would pay for it. uv reads UV_DEFAULT_INDEX, not pip's
# settings: pip takes over where only those name the index that can be reached.
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --compile-bytecode

define install
$(UV) --require-hashes -r $(1) || $(PIP) install --no-deps --require-hashes -r $(1)
$(UV) --editable . || $(PIP) install --no-deps --editable .
endef

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url \
	--no-emit-find-links --python-version 3.11 --quiet --custom-compile-command "make lock"

.PHONY: help run dev test-unit coverage test test-all fuzz faults soak kills scale-out lint format lock audit sbom bench pictures api-docs emulators clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run  ## one simulated slate end to end, on the embedded profile
	$(BIN)/prediction-assets run --simulated-players 40

dev: $(VENV)/.run  ## the Dagster UI at http://127.0.0.1:3000, with the daemon; `make dev DEV=--simulated-sources`
	$(BIN)/prediction-assets dev $(DEV)

test-unit: $(VENV)/.dev  ## what needs no Dagster, no file and no process: seconds
	$(BIN)/python -m pytest -n auto -q $(TESTS)/unit

coverage: $(VENV)/.dev  ## fail for a branch of slate/ or steps/ that the tests of rules, steps and refreshes don't take
	$(BIN)/python -m pytest -q $(TESTS)/unit/slate $(TESTS)/unit/steps $(TESTS)/contract/steps \
		$(addprefix $(TESTS)/orchestration/,sensors/test_refresh.py test_refresh_commands.py test_ledger_commands.py) \
		--cov=prediction_assets/slate --cov=prediction_assets/steps --cov-branch --cov-report=term-missing --cov-fail-under=100

test: $(VENV)/.dev  ## everything a change can break, with the emulators that the machine has
	$(SUITE) --no-loadscope-reorder $(addprefix $(TESTS)/,acceptance orchestration contract unit)

test-all: test  ## the long ones too: every fault on both profiles, deployments, documented commands, kills for a minute
	$(SUITE) $(addprefix $(TESTS)/,deploy long)

fuzz: $(VENV)/.dev  ## 5,000 random slates on DuckDB, 500 on the BigQuery emulator; goes on where it stopped; `FUZZ_SLICE=3/20` runs a slice
	$(BIN)/python -m prediction_assets_tests.long.fuzz $(FUZZ_SLICE)

lint: $(VENV)/.dev  ## ruff, mypy, and what may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev  ## renew the locked versions within the ranges of pyproject.toml
	$(LOCK) --all-extras -o requirements-dev.txt
	$(LOCK) -c requirements-dev.txt -o requirements.txt
	$(LOCK) deploy/requirements.in --extra postgres -c requirements-dev.txt -o deploy/requirements.txt
	echo 'setuptools>=77' | $(subst pyproject.toml,-,$(LOCK)) --no-annotate -o deploy/build-requirements.txt
	echo 'uv<1' | $(subst pyproject.toml,-,$(LOCK)) --no-annotate -o requirements-uv.txt

audit: $(VENV)/.dev  ## ask for known vulnerabilities of every locked version of the image; needs PyPI's advisories
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement deploy/requirements.txt

sbom: $(VENV)/.dev  ## what is in the image, as CycloneDX in build/sbom.json, and docs/licences.md
	$(PYTHON) -m venv --without-pip build/image
	$(PYTHON) -m venv build/sbom-tool
	$(BIN)/uv pip install --quiet --python build/image/bin/python --no-deps --require-hashes -r deploy/requirements.txt
	build/sbom-tool/bin/python -m pip install --quiet 'cyclonedx-bom>=7,<8'
	build/sbom-tool/bin/cyclonedx-py environment build/image --pyproject pyproject.toml --output-reproducible -o build/sbom.json
	$(BIN)/python -m prediction_assets_tests.licences build/sbom.json

bench: $(VENV)/.dev  ## measure beside plain DuckDB, minutes; more with `make bench BENCH="--help"`
	$(BIN)/python -m benchmarks $(BENCH)

faults: $(VENV)/.dev  ## a slate stopped at every durable step, in every way, on both profiles or `FAULTS=local`
	$(BIN)/python -m prediction_assets_tests.acceptance.fault_matrix $(FAULTS)

soak: $(VENV)/.dev  ## a deployment whose processes are killed for ten minutes; needs PostgreSQL's programs
	$(BIN)/python -m prediction_assets_tests.long.soak $(SOAK)

kills: $(VENV)/.dev  ## `dev` whose processes are killed 10 times; `make kills KILLS="--kills 200"` as often as you like
	$(BIN)/python -m prediction_assets_tests.long.kills $(KILLS)

scale-out: $(VENV)/.dev  ## 5,000 players on four run workers; more with `make scale-out SCALE="--help"`
	$(BIN)/python -m prediction_assets_tests.long.scale_out $(SCALE)

pictures: $(VENV)/.dev  ## renew docs/images with a real browser; needs chromium
	$(BIN)/python -m pytest prediction_assets_tests/deploy/test_browser.py --pictures docs/images

api-docs: $(VENV)/.dev  ## the package's docstrings as pages, in build/api
	$(BIN)/python -m pip install --quiet 'pdoc>=16,<17'
	$(BIN)/python -m pdoc --docformat google --output-directory build/api prediction_assets

emulators: $(VENV)/.dev  ## the three Google Cloud emulators, until Ctrl-C; prints what to export
	$(BIN)/python -m prediction_assets_tests.emulators

clean:  ## remove the environment and all local state
	rm -rf $(VENV) .bench .prediction_assets build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: requirements-uv.txt | $(BIN)/python
	$(PIP) install --no-deps --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/uv
	@echo "installing into $(VENV), once ..."
	$(call install,requirements.txt)
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/uv
	@echo "installing development tools into $(VENV), once ..."
	$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/.run
