# Two commands: `make run` and `make test`. All paths are relative, so any folder will do.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
RUN_STAMP := .venv/.installed-run
CODE := $(wildcard engine events gateway projections stages tests docs/examples .ci/matrix.py .ci/bind.py)

.DEFAULT_GOAL := help
# Variables of Python in the shell are about other projects.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONWARNINGS PYTHONUSERBASE
.PHONY: FORCE help run install-run install test coverage mutants mutation lint types bench check audit docs recording screenshots compose format clean lock

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: $(RUN_STAMP)  ## install what running needs, start the whole engine, print one ready line; Ctrl-C stops it
	@exec "$(BIN)/engine" up

install-run: $(RUN_STAMP)  ## install what running needs, and start nothing

install: $(STAMP)  ## install the locked dependencies, with tests and tools, and start nothing

test: $(STAMP)  ## every test, on real backends (TEST_BACKEND=embedded|docker|external, TEST_LANES=4)
	@"$(BIN)/python" -m tests $(ARGS)

coverage: $(STAMP)  ## the lines and branches that unit and integration tests execute (build/coverage)
	@"$(BIN)/coverage" erase
	@"$(BIN)/coverage" run -m pytest -q -n 2 --dist loadfile tests/unit tests/integration $(ARGS)
	@"$(BIN)/coverage" combine -q
	@"$(BIN)/coverage" html -q
	@"$(BIN)/coverage" report

mutants: $(STAMP)  ## plant each bug of tests/mutants, one at a time, and show which test catches it
	@"$(BIN)/python" -m tests.mutants $(ARGS)

mutation: $(STAMP)  ## let mutmut change the pure modules, and show what no unit test notices
	@"$(BIN)/python" -m tests.mutation $(ARGS)

lint: $(STAMP)  ## ruff
	@"$(BIN)/ruff" check $(CODE)

types: $(STAMP)  ## mypy, strict
	@"$(BIN)/mypy"
	@"$(BIN)/mypy" .ci/matrix.py

bench: $(STAMP)  ## measure, on backends of its own (ARGS='--quick')
	@"$(BIN)/python" -m tests.bench $(ARGS)

check: $(STAMP)  ## format, lint, types, documentation, tests: what must pass before a commit
	@"$(BIN)/ruff" format --check $(CODE)
	@$(MAKE) --no-print-directory lint types docs test

audit: $(STAMP)  ## look the locked dependencies up among known vulnerabilities
	@"$(BIN)/python" .ci/audit.py

screenshots: $(STAMP)  ## take the pictures of the console in docs/screenshots again
	@SCREENSHOTS=docs/screenshots "$(BIN)/python" -m pytest -q tests/e2e/test_screenshots.py

recording: $(STAMP)  ## draw docs/screenshots/five-orders.svg again
	@VENUES=simulated "$(BIN)/python" -m tests.recording

docs: $(STAMP)  ## build the documentation as a site in build/site; dead links are errors
	@"$(BIN)/zensical" build --strict --clean

compose: $(STAMP)  ## check compose.yaml, without a container engine
	@"$(BIN)/docker-compose" -f compose.yaml config -q && echo "compose.yaml is valid"

format: $(STAMP)  ## rewrite the code in the house format
	@"$(BIN)/ruff" format $(CODE)
	@"$(BIN)/ruff" check --fix --select I $(CODE)

clean:  ## remove what was installed and cached (not .data: that is the orders)
	@rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: .ci/lock  ## resolve pyproject.toml again into the three lock files
	@PYTHON="$(PYTHON)" sh .ci/lock

# A stamp names the folder that it was made for: a copied or moved one is put right.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif
ifneq ($(shell cat $(RUN_STAMP) 2>/dev/null),$(CURDIR))
$(RUN_STAMP): FORCE
endif
FORCE:

$(STAMP): requirements.lock pyproject.toml .ci/install .ci/bind.py
	@PYTHON="$(PYTHON)" sh .ci/install all

$(RUN_STAMP): requirements-run.lock pyproject.toml .ci/install .ci/bind.py
	@PYTHON="$(PYTHON)" sh .ci/install run
