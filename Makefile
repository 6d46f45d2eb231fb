# Every target sets up .venv if needed. No target changes files outside of this directory.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Run files by name: the slow files with a Phoenix start before the many short files of tests/unit.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder --numprocesses

# Without cached bytecode, each process that a test starts would compile evalwire again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo early serve day unit integration test test-host test-image slow mutation bench statistics schema prices messages docs docs-serve lint lint-python lint-rest lint-words format pictures lock clean

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "evalwire needs Python 3.11 or newer. Choose an interpreter: make PYTHON=python3.13 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv is much faster than pip. Fall back to pip if uv is not available, or cannot reach an index configured for pip.
	$(BIN)/pip install --quiet --disable-pip-version-check uv && \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[local,dev]' || \
		$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	@touch $@

demo: $(VENV)/installed  ## Run the example experiments with a local Phoenix.
	@cd examples && ../$(BIN)/evalwire run --local
	@echo "To view the results in Phoenix: make serve"

early: $(VENV)/installed  ## Run 500 examples, then again until the gates are decided.
	@cd examples/early && ../../$(BIN)/evalwire run --local --quiet --config evalwire.toml
	@cd examples/early && ../../$(BIN)/evalwire run --local --stop-early --config evalwire.toml

serve: $(VENV)/installed  ## View the results of the demo in Phoenix.
	@cd examples && ../$(BIN)/evalwire serve

day: $(VENV)/installed  ## Play a developer's day in a new project, from `init` to a merged pull request, with the time of each command (a minute).
	@$(BIN)/python tests/support/day.py $(ARGS)

unit: $(VENV)/installed  ## Run the tests that need neither a Phoenix nor a browser (about a minute).
	$(BIN)/pytest --dist worksteal --numprocesses 4 -m "not slow and not needs_phoenix and not browser" tests/unit

integration: $(VENV)/installed  ## Run the tests that depend on the Python version: unit tests, and tests with a real Phoenix.
	$(BIN)/pytest $(SIDE_BY_SIDE) 3 -m "not slow and not browser" tests/cli tests/integration tests/unit

test: test-host test-image  ## Run all tests except slow tests (image tests need a Docker engine).

test-host: $(VENV)/installed  # three processes on two cores, because tests wait for signals, timeouts and servers
	$(BIN)/pytest $(SIDE_BY_SIDE) 3 --ignore tests/image

test-image: $(VENV)/installed  # timing-sensitive tests run alone
	$(BIN)/python tests/support/image_session.py \
		$(BIN)/pytest $(SIDE_BY_SIDE) 3 -m "not slow and not alone" tests/image -- \
		$(BIN)/pytest -m "alone and not slow" tests/image

lint: lint-python lint-rest lint-words  ## Check style, types, import layers, shell scripts, Dockerfile, workflows, the action and the CI examples.

lint-python: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy image .github/release
	$(BIN)/lint-imports

lint-words: $(VENV)/installed
	$(BIN)/python tests/support/words.py

lint-rest: $(VENV)/installed
	$(BIN)/shellcheck --external-sources entrypoint.sh image/evalwire-install .ci/run action/*.sh examples/kubernetes/run.sh
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci examples/ci/gitlab.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.circle-ci examples/ci/circleci.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.bitbucket-pipelines examples/ci/bitbucket-pipelines.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.buildkite examples/ci/buildkite.yml
	@# the patterns of this schema are for JavaScript without the u flag
	$(BIN)/check-jsonschema --regex-variant nonunicode --builtin-schema vendor.azure-pipelines examples/ci/azure-pipelines.yml
	$(BIN)/kubernetes-validate --quiet --strict -k 1.34 examples/ci/kubernetes.yaml examples/kubernetes/*.yaml
	$(BIN)/zizmor --offline --quiet .github action.yml

format: $(VENV)/installed  ## Format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

slow: $(VENV)/installed  ## Run slow tests, and property tests with more examples.
	$(BIN)/pytest -m slow
	$(BIN)/pytest $(SIDE_BY_SIDE) 2 --hypothesis-profile nightly -m "hypothesis and not slow" tests/unit

mutation: $(VENV)/installed  ## Run mutation tests of the modules that decide the outcome (hours; MODULES=gates/apply.py for a single module).
	$(BIN)/python tests/support/mutation.py $(MODULES)

bench: $(VENV)/installed  ## Compare speed and memory with their limits and with other libraries (30 minutes).
	$(BIN)/python -m benchmarks $(ARGS)

statistics: $(VENV)/installed  ## Simulate comparisons, early verdicts, budgets and noise (an hour).
	$(BIN)/python -m benchmarks.statistics $(ARGS)
	$(BIN)/python -m benchmarks.early $(ARGS)
	$(BIN)/python -m benchmarks.judges $(ARGS)
	$(BIN)/python -m benchmarks.noise $(ARGS)

schema: $(VENV)/installed  ## Generate the JSON Schemas of evalwire.toml and of results.json in docs/.
	$(BIN)/python docs/schema.py
	$(BIN)/python -m evalwire.reports.results_json.schema >docs/results.schema.json

prices: $(VENV)/installed  ## Generate the prices of known models from genai-prices, which was released on DATE.
	$(BIN)/python docs/prices.py $(DATE)

messages: $(VENV)/installed  ## Generate the list of the program's messages, tests/support/messages.txt.
	$(BIN)/python tests/support/messages.py

docs: $(VENV)/installed  ## Build the documentation into site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/installed  ## Serve the documentation with live reload.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

pictures: $(VENV)/installed  ## Generate the pictures of the README from the demo (needs Chromium).
	PYTHONPATH=tests:tests/support $(BIN)/python tests/support/pictures.py

lock: $(VENV)/installed  ## Update the pinned dependencies of the image, with hashes and without index URLs.
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
		--python-version 3.13 --python-platform linux --custom-compile-command 'make lock' \
		--extra schema pyproject.toml -o requirements.lock

clean:  ## Remove generated files.
	rm -rf $(VENV) site examples/.evalwire examples/test-results
