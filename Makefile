# `make help` lists the commands. Everything runs from the virtual environment .venv, which `make setup` makes and keeps right.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One run tells everything that is wrong, not only the first.
MAKEFLAGS += --keep-going --no-print-directory

VENV := .venv
PYTHON_BIN := $(VENV)/bin/python
LAB := $(PYTHON_BIN) molecule/shared/lab.py
COLLECTION := .ansible/collections/ansible_collections/tutorops/scale
READY := $(VENV)/.ready
SCENARIO ?= default
JOURNEY ?= tests/journey
# Those that CI runs; each in a process of its own, because their helpers are called alike.
ENGINES ?= tests/engine/edge tests/engine/mysql

# Cheap phases first; the lab's images are built in the background meanwhile.
PHASES := static unit sanity engine molecule

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
export LC_ALL := C.UTF-8
export NO_COLOR := 1
# A configuration of the user's own would change what is tested.
unexport ANSIBLE_CONFIG

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

## Preparing ---------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(READY) $(COLLECTION) ## make .venv with the pinned tools, and the link that lets Ansible find this checkout

$(READY): requirements/development.txt
	[ -x $(PYTHON_BIN) ] || { python=$$(tools/find_python.sh) && "$$python" -m venv $(VENV); }
	$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check --requirement requirements/development.txt
	touch $@

$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn ../../../.. $@

## Checking ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup ## everything that CI runs, with what each phase took and one closing line
	@$(PYTHON_BIN) tools/phases.py --background images --before engine $(PHASES)

.PHONY: static
static: lint ansible-lint docs-check package ## all checks that run nothing: the next four

.PHONY: lint
lint: ruff mypy yamllint roles changelog ## ruff, mypy, yamllint, specs against defaults and READMEs, changelog

.PHONY: ruff
ruff: setup
	ruff check
	ruff format --check

.PHONY: mypy
mypy: setup
	mypy
	mypy --python-version 3.12 tools molecule/shared

.PHONY: yamllint
yamllint: setup
	yamllint --strict .

.PHONY: roles
roles: setup
	$(PYTHON_BIN) tools/role_variables.py --check

.PHONY: changelog
changelog: setup
	antsibull-changelog lint

.PHONY: ansible-lint
ansible-lint: setup ## ansible-lint, profile production, offline
	ansible-lint --offline

.PHONY: docs-check
docs-check: setup ## module, role and guide documentation is valid
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .

.PHONY: package
package: setup ## build the artefact, install it, and use its playbooks from there
	$(PYTHON_BIN) tools/package.py

.PHONY: unit
unit: setup ## unit tests, with the real tutor command line of each supported version
	$(PYTHON_BIN) -m pytest -q -n 2 tests/unit

.PHONY: sanity
sanity: setup ## ansible-test sanity
	$(PYTHON_BIN) tools/sanity.py

.PHONY: engine
engine: setup ## drivers against real engines
	failed=0; for folder in $(ENGINES); do $(PYTHON_BIN) -m pytest -q $$folder || failed=1; done; exit $$failed

.PHONY: molecule
molecule: setup ## a whole scenario on the lab; SCENARIO=default is the journey of MySQL
	molecule test --scenario-name $(SCENARIO)

.PHONY: journey
journey: setup ## faults, operators' actions, bad inputs and secrets on labs of their own; JOURNEY=tests/journey/test_failover.py for one
	$(PYTHON_BIN) -m pytest -v $(JOURNEY)

.PHONY: k8s
k8s: setup ## replicas on a real Kubernetes API; its first build takes 8 minutes
	$(PYTHON_BIN) -m pytest -v tests/k8s

## Showing -----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## the whole product on this machine: a Tutor with traffic, offloaded live; leaves the lab up
	$(PYTHON_BIN) molecule/shared/demo.py

.PHONY: lab-up
lab-up: setup ## bring the lab up: a Tutor and three data hosts (docs/lab.md)
	$(LAB) up

.PHONY: lab-status
lab-status: setup ## the lab's hosts, and whether its platform answers
	$(LAB) status

.PHONY: lab-down
lab-down: setup ## remove the lab's hosts; images and the prepared platform stay
	$(LAB) down

.PHONY: lab-clean
lab-clean: setup ## remove every lab, every image and the cache
	$(LAB) clean

.PHONY: images
images: setup
	$(LAB) images

.PHONY: docs
docs: setup ## write the READMEs' tables of variables, and the site below build/docs
	$(PYTHON_BIN) tools/role_variables.py
	mkdir -p build/docs && chmod og-w build/docs
	antsibull-docs collection --use-current --cleanup everything --squash-hierarchy --dest-dir build/docs tutorops.scale
