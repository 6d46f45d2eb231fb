# Every target does all of its own set-up, in .venv; nothing outside of this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Files in the order of their names: those with a Phoenix, which take long, come before the many short ones of tests/unit.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder --numprocesses

# Where bytecode is not kept, each of the processes that tests start compiles evalwire, and pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve unit integration test test-host test-image slow mutation bench statistics schema messages docs docs-serve lint lint-python lint-rest format pictures lock clean

help:  ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "evalwire needs Python 3.11 or newer; name one: make PYTHON=python3.13 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv takes a fraction of pip's time; where it cannot be had, or reach an index that only pip knows, pip does it
	$(BIN)/pip install --quiet --disable-pip-version-check uv && \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[local,dev]' || \
		$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	@touch $@

demo: $(VENV)/installed  ## Run the example experiments against a Phoenix started for them.
	@cd examples && ../$(BIN)/evalwire run --local
	@echo "Look at it in Phoenix: make serve"

serve: $(VENV)/installed  ## Look at the demo's results in Phoenix.
	@cd examples && ../$(BIN)/evalwire serve

unit: $(VENV)/installed  ## Run the tests that need neither a Phoenix nor a browser (a minute and a half).
	$(BIN)/pytest $(SIDE_BY_SIDE) 2 -m "not slow and not needs_phoenix and not browser" tests/unit

integration: $(VENV)/installed  ## Run what a version of Python may change: the unit tests, and those with a real Phoenix.
	$(BIN)/pytest $(SIDE_BY_SIDE) 3 -m "not slow and not browser" tests/cli tests/integration tests/unit

test: test-host test-image  ## Run the whole test suite (the image's part where a Docker engine answers).

test-host: $(VENV)/installed  # three processes on two cores: tests wait for signals, time limits and servers
	$(BIN)/pytest $(SIDE_BY_SIDE) 3 --ignore tests/image

test-image: $(VENV)/installed  # what other tests would make late comes by itself
	$(BIN)/python tests/support/image_session.py \
		$(BIN)/pytest $(SIDE_BY_SIDE) 3 -m "not slow and not alone" tests/image -- \
		$(BIN)/pytest -m "alone and not slow" tests/image

lint: lint-python lint-rest  ## Check style, types, import layers, shell, Dockerfile, compose, workflows, the action and the examples for CI.

lint-python: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy image .github/release action/comment.py
	$(BIN)/lint-imports

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
	@# its patterns are for JavaScript without the flag u
	$(BIN)/check-jsonschema --regex-variant nonunicode --builtin-schema vendor.azure-pipelines examples/ci/azure-pipelines.yml
	$(BIN)/kubernetes-validate --quiet --strict -k 1.34 examples/ci/kubernetes.yaml examples/kubernetes/*.yaml
	$(BIN)/zizmor --offline --quiet .github action.yml

format: $(VENV)/installed  ## Put the code into the project's format.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

slow: $(VENV)/installed  ## Run the tests that take longer than CI allows a change, and look further where inputs are drawn.
	$(BIN)/pytest -m slow
	$(BIN)/pytest $(SIDE_BY_SIDE) 2 --hypothesis-profile nightly -m "hypothesis and not slow" tests/unit

mutation: $(VENV)/installed  ## Change each line of the modules behind the verdict and see a unit test fail (hours; MODULES=gates/judge.py for one).
	$(BIN)/python tests/support/mutation.py $(MODULES)

bench: $(VENV)/installed  ## Measure speed and memory beside their limits and beside peers (half an hour).
	$(BIN)/python -m benchmarks $(ARGS)

statistics: $(VENV)/installed  ## Simulate how often a comparison is falsely red, and how often it finds a drop (twenty minutes).
	$(BIN)/python -m benchmarks.statistics $(ARGS)

schema: $(VENV)/installed  ## Generate the JSON Schemas of evalwire.toml and of results.json in docs/.
	$(BIN)/python docs/schema.py
	$(BIN)/python -m evalwire.reports.results_json.schema >docs/results.schema.json

messages: $(VENV)/installed  ## Generate the list of the program's messages, tests/support/messages.txt.
	$(BIN)/python tests/support/messages.py

docs: $(VENV)/installed  ## Build the documentation into site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/installed  ## Show the documentation while you write it.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

pictures: $(VENV)/installed  ## Make the README's pictures anew, from the demo (needs Chromium).
	$(BIN)/python tests/support/pictures.py

lock: $(VENV)/installed  ## Pin the image's dependencies anew, hashes and all, with no address of an index.
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
		--python-version 3.13 --python-platform linux --custom-compile-command 'make lock' \
		--extra schema pyproject.toml -o requirements.lock

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) site examples/.evalwire examples/test-results
