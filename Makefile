# Two commands for a new user: `make up` and `make test`. Both do all their own set-up in `.venv`;
# they need make and a Python of 3.11 or newer with venv, and never run a package manager.

SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
RUN := .venv/bin/python -m
ARGS ?=

.PHONY: help up down demo bench clients sim prove test soak outage crash kills conformance fuzz unit lint check format contract setup setup-dev clean
.DEFAULT_GOAL := help

help:
	@echo 'make up      the whole system, and its logs; Ctrl-C stops it (ARGS=--detach: in the background)'
	@echo 'make down    stop it'
	@echo 'make demo    a scripted trading session, checked to the last digit'
	@echo 'make test    every test, on real servers'
	@echo 'make check   before a commit: format, lint, types, floors (make lint) and unit tests (make unit)'
	@echo 'make format  put format and lint right where that can be done by itself'
	@echo 'make contract  write docs/contract, order-states.md and incidents.md anew from the code'
	@echo 'make sim     the system under simulated faults (ARGS="--seeds 10000")'
	@echo 'make prove   plant known bugs, and see that the simulator finds each'
	@echo 'make soak    ten minutes of kills, stops and cuts under load; make outage: ten without an exchange'
	@echo 'make crash   a market that falls 35 % in a minute, three times, and a judge of every liquidation'
	@echo 'make kills   every kind of algo in the middle, and streamer, workers or Redis killed under it'
	@echo 'make conformance  Binance'"'"'s own client and ccxt trade a session on the venue, minutes of its book too'
	@echo 'make fuzz    100,000 malformed requests to the venue (ARGS="--fuzz-seed 2")'
	@echo 'make bench   one figure of docs/performance.md beside its floor: ARGS=NAME (command, fill, ticks, ...)'
	@echo 'make clients environments for what bench ticks and matching compare with (ARGS=NAME: one of them)'
	@echo 'make setup   .venv alone, make setup-dev with what the tests need; make clean removes it and what is cached'

up: setup
	@exec $(RUN) pms.cli.main up $(ARGS)

# Without setup: what is to be stopped runs from what is there, and may have no way to a package index now.
down:
	@test -x .venv/bin/python || { echo 'nothing was ever started here: there is no .venv'; exit 0; }; \
	exec $(RUN) pms.cli.main down $(ARGS)

demo: setup
	@exec $(RUN) pms.cli.main demo $(ARGS)

bench: setup
	@exec $(RUN) pms.cli.main bench $(ARGS)

clients: setup
	@exec $(RUN) benchmarks.clients $(ARGS)

sim: setup
	@exec $(RUN) pms.cli.main sim $(ARGS)

prove: setup
	@exec $(RUN) pms.cli.main sim --prove $(ARGS)

test: setup-dev
	@exec $(RUN) pytest -n 3 --dist loadscope --no-loadscope-reorder $(ARGS)

soak: setup-dev
	@exec $(RUN) pytest -q tests/stack/test_soak.py --soak-seconds 600 $(ARGS)

outage: setup-dev
	@exec $(RUN) pytest -q tests/stack/test_reconciliation.py -k test_f4 --outage-seconds 600 $(ARGS)

crash: setup-dev
	@exec $(RUN) pytest -q tests/stack/test_crash.py --crash-seconds 60 $(ARGS)

kills: setup-dev
	@exec $(RUN) pytest -q tests/stack/test_algos_killed.py --killed-all $(ARGS)

conformance: setup-dev
	@exec $(RUN) pytest -q tests/clients/live_sessions.py --conformance-seconds 120 $(ARGS)

fuzz: setup-dev
	@exec $(RUN) pytest -q tests/unit/venue/test_venue_fuzz.py --fuzz-requests 100000 $(ARGS)

unit: setup-dev
	@exec $(RUN) pytest -q tests/unit $(ARGS)

lint: setup-dev
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	.venv/bin/python -c 'from importlinter.cli import lint_imports_command as lint; lint()'

check: lint unit

format: setup-dev
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

contract: setup
	$(RUN) pms.contract.schema docs/contract
	$(RUN) pms.domain.order_table docs
	$(RUN) pms.domain.incident_table docs

setup setup-dev:
	@if [ -z '$(PYTHON)' ]; then \
		echo 'Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv' >&2; exit 1; fi
	@'$(PYTHON)' bootstrap.py $(if $(filter setup-dev,$@),--dev)

clean:
	rm -rf .venv .clients .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
