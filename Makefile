# gatescope: `make serve` starts the server, `make test` runs the tests; `make help` lists the rest.

PYTHON ?= $(firstword $(shell command -v python3.11 python3 2>/dev/null))
VENV   ?= .venv
BIN    := $(VENV)/bin
# Empty: pip's own index, whose Linux build of torch is the CUDA one (gigabytes). README says where the CPU index is shown.
TORCH_INDEX_URL ?=

SOURCES := pyproject.toml $(wildcard setup.py) $(wildcard models/runtime/cpu/kernel/*.cpp models/runtime/cpu/kernel/*.hpp models/runtime/cpu/kernel/*.h)

.PHONY: help serve test ray-test lint lecture explanations notebooks examples page-pictures bench bench-batch bench-quick stress audit format lock clean torch
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

serve: $(VENV)/.serve ## install what is missing into .venv/ and start the server on 127.0.0.1:8000
	@$(BIN)/gatescope serve

test: $(VENV)/.test ## install what is missing into .venv/ and run the tests
	$(BIN)/python -m pytest $(TESTS)

ray-test: $(VENV)/.ray ## install Ray too, and test on it: two replicas, killed under load, and a batch
	$(BIN)/python -m pytest tests/deploy/test_ray_serve.py tests/deploy/test_ray_data.py

lint: $(VENV)/.test ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test ## write the style into the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lecture: $(VENV)/.test ## write docs/lecture.md, the Chinese one and their pictures anew, from the models in weights/
	$(BIN)/python -m lecture

explanations: $(VENV)/.test ## measure every attribution method on every model, DATA names the folder of dev data; writes docs/explanations.md
	$(BIN)/python -m lecture.explanations --data $(DATA)

notebooks: $(VENV)/.test ## run the notebooks of examples/ and write docs/examples/ anew
	$(BIN)/python -m lecture.notebooks

examples: $(VENV)/.test ## ask the examples of OpenAPI anew; writes service/routes/examples.json
	$(BIN)/python -m tests.service.routes.write_examples

page-pictures: $(VENV)/.test ## photograph the inspector page in Chromium; writes docs/page/ and tests/page/screenshots/
	$(BIN)/python -m tests.page.pictures

bench: $(VENV)/.test ## everything beside its peers, an hour alone on the machine; writes docs/performance.md
	$(BIN)/python -m bench all

bench-batch: $(VENV)/.test ## `gatescope batch`: speed, 20 kills, memory of a million rows; ten minutes, writes docs/scaling/results.json
	$(BIN)/python -m bench batch

bench-quick: $(VENV)/.test ## a few cases without peers, under three minutes; fails where a ratio has grown
	$(BIN)/python -m bench quick

stress: $(VENV)/.test ## overload, kills, full disk, hostile requests: a quarter of an hour alone; writes docs/reliability.md
	$(BIN)/python -m tests.stress

# What is served, of serve.lock and torch.txt. pip-audit asks the advisories of the Python Package Index over the internet.
SERVED = $(shell sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' requirements/serve.lock) torch
AUDIT  := $(VENV)/audit

audit: $(VENV)/.serve $(VENV)/.audit ## licences and known vulnerabilities of what is served; ADVISORIES=no without the internet
	$(AUDIT)/bin/pip-licenses --python=$(BIN)/python --from=mixed --packages $(SERVED) --partial-match \
	  --fail-on='GPL;SSPL;Commons Clause;Business Source;Proprietary;UNKNOWN' --order=license
ifneq ($(ADVISORIES),no)
	$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/serve.lock
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps -r requirements/torch.txt
else
	@echo "gatescope: advisories were not asked (ADVISORIES=no): no vulnerability was looked for"
endif

lock: $(VENV)/.test ## choose versions anew and pin them by hash; no address is written
	$(BIN)/pip install --quiet pip-tools
	@mkdir -p build
	$(PIN) -o requirements/image.lock pyproject.toml
	$(PIN) --extra train -c requirements/image.lock -o requirements/serve.lock pyproject.toml
	sed -n 's/^\([^ ]*==[^ ]*\) .*/\1/p' requirements/serve.lock | grep -v '^python-dateutil==' > build/served.txt  # kserve's client needs an older one
	printf 'pip-audit>=2.10,<3\npip-licenses>=5.5,<6\n' | $(PIN) -o requirements/audit.lock -
	$(PIN) --extra train --extra parquet --extra dev -c build/served.txt -o requirements/test.lock pyproject.toml

PIN = $(BIN)/pip-compile --quiet --upgrade --generate-hashes --unsafe-package torch --strip-extras --no-header \
      --annotation-style=line --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

clean: ## remove .venv/ and what was built
	rm -rf $(VENV) build *.egg-info models/runtime/cpu/kernel/*.so

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "gatescope: Python 3.11 or later is needed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gatescope: Python 3.11 or later is needed, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Everything by hash first; then torch finds all that it needs beside it already, but for what its CUDA build alone brings.
$(VENV)/.serve: requirements/serve.lock requirements/torch.txt $(SOURCES) | $(VENV)/.python
	$(call install,requirements/serve.lock)
	@touch $@

$(VENV)/.test: requirements/test.lock requirements/torch.txt $(SOURCES) | $(VENV)/.python
	$(call install,requirements/test.lock)
	@touch $@ $(VENV)/.serve

$(VENV)/.ray: $(VENV)/.test
	@mkdir -p build
	sed -n 's/^\([^ ]*==[^ ]*\) .*/\1/p' requirements/test.lock > build/tested.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c build/tested.txt -c requirements/torch.txt --no-build-isolation -e .[ray]
	@touch $@

$(VENV)/.audit: requirements/audit.lock | $(VENV)/.python
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.lock
	@touch $@

define install
$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
$(MAKE) --no-print-directory torch VENV=$(VENV)
$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef

torch: | $(VENV)/.python ## torch alone, from TORCH_INDEX_URL where that is set
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c requirements/torch.txt torch

-include image.mk
