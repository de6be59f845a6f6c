# Two commands on a fresh machine: `make demo` and `make test`. Everything else is their parts.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit combinations site image-test crash-matrix damage-matrix properties fuzz mutants \
  lint audit format d3 schema docs horovod horovod-tested mpi browser slurm strace bubblewrap \
  mmdebstrap clean

UV_VERSION := 0.13
# The machine's own certificates, which a proxy of an institution may need.
export UV_SYSTEM_CERTS := true
# An installed uv is used; otherwise one is put beside the project.
UV := $(shell command -v uv || echo .tools/bin/uv)
RUN := $(UV) run --locked --no-sync

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.tools/bin/uv:
	@echo "Installing uv into .tools"
	@python3 -m venv .tools 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null \
	    && rm -rf .tools && python3 -m venv .tools; \
	  else \
	    echo "Python's venv module is missing; on Debian: sudo apt-get install python3-venv" >&2; exit 1; \
	  fi; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=$(UV_VERSION)'

# The stamp makes a second call free; uv itself would need a moment to find that nothing changed.
.venv/.synced: pyproject.toml uv.lock | $(filter .tools/bin/uv,$(UV))
	@echo "Setting up .venv from uv.lock"
	@$(UV) sync --locked --quiet
	@touch $@

setup: .venv/.synced ## Create the locked environment in .venv

demo: setup ## Run the default study and print where its report is
	@$(RUN) snakemake --configfile config/demo.yaml --quiet all

# Of tests that are alike and take minutes, some a day: tests/support/daily.py. `TESTS_OF=all` runs all.
test: setup browser horovod-tested slurm strace bubblewrap lint ## Lint, then run the tests
	@$(RUN) pytest -n auto --dist loadfile --no-loadscope-reorder

test-unit: setup ## Run the tests without cluster, workflow, jobs, browser
	@$(RUN) pytest -n auto --dist loadfile --no-loadscope-reorder tests/unit

# Some sixty studies, half an hour on two cores; `make test` plans a third and runs one, others each day.
combinations: setup horovod-tested ## Run the studies in which all choices meet in pairs
	@COMBINATIONS=all $(RUN) pytest tests/workflow/test_combinations.py

# A form a minute or two; `make test` runs one, another each day.
site: setup horovod-tested slurm ## Run every form of search on a Slurm like that of a site
	@SITE=all $(RUN) pytest tests/cluster/test_site.py

# Ten minutes and 4 GB, as root on Debian. `IMAGE=gridfold` takes that with CUDA;
# `ENGINE=apptainer` builds and runs with Apptainer, where it is installed.
IMAGE ?= gridfold-cpu
ENGINE ?= bubblewrap
ROOT_OF_IMAGE = $(CURDIR)/.image/$(IMAGE)$(if $(filter apptainer,$(ENGINE)),.sif)
image-test: setup horovod-tested bubblewrap mmdebstrap ## Build an image's root from a plain Debian and train in it
	@PYTHONPATH=tests/support $(RUN) python tests/support/image.py --engine $(ENGINE) \
	  workflow/envs/$(IMAGE).def $(ROOT_OF_IMAGE)
	@IMAGE_ROOT=$(ROOT_OF_IMAGE) IMAGE_ENGINE=$(ENGINE) TESTS_OF=all $(RUN) pytest tests/workflow/test_containers.py

# Each point takes some seconds; what is done is kept in .crash-matrix, so it can be ended at any time.
# `POINTS=9999` tries all, `SEED=...` begins with others, and `make test` a few of each day's own.
POINTS ?= 2500
SEED ?= all
crash-matrix: setup ## Disturb a study at its system calls (goes on where it was ended)
	@$(RUN) python tests/support/crashmatrix.py --points $(POINTS) --seed $(SEED)

# Each kind of damage to each kind of file, an hour or two; `make test` tries one, another each day.
damage-matrix: setup ## Damage each file of a study in all ways and run it again
	@PYTHONPATH=tests/support $(RUN) python tests/support/damages.py

# What the tests of properties do with the same examples each time, here with many new ones.
properties: setup ## Search for cases in which properties of the stores do not hold
	@$(RUN) pytest -n auto --hypothesis-profile deep $$(find tests -name 'test_*_properties.py')

# Ten minutes on two cores; `make test` tries the first few hundred cases.
fuzz: setup ## Read thousands of study and data files that are wrong
	@$(RUN) python tests/support/fuzzing.py studies --cases 10000
	@$(RUN) python tests/support/fuzzing.py data --cases 2000

# Hours; `MUTANTS='gridfold.store.locks*'` takes one module, tests/support/mutantsample.py a sample
# of each. `mutmut show NAME` shows a survivor.
MUTANTS ?=
mutants: setup ## Change the code a little, one place at a time, and see whether a test notices
	@# Python does not look again for a folder that was absent when it began.
	@mkdir -p mutants/src
	@PYTHONPATH=$(CURDIR)/mutants/src nice $(RUN) mutmut run $(MUTANTS)
	@$(RUN) python tests/support/mutantsample.py survivors
	@$(RUN) python tests/support/mutantsample.py table

lint: setup ## Check format, types, rules and generated files
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(RUN) lint-imports --no-logo
	@$(RUN) bandit -q -c pyproject.toml -r src workflow benchmarks docs
	@$(RUN) snakefmt --check --compact-diff Snakefile rules
	@$(RUN) snakemake --lint --configfile config/demo.yaml

# Not a part of `lint`: without PyPI's database of vulnerabilities there is no answer. `--strict`
# ends with an error then, where pip-audit would say that nothing is known.
audit: setup ## Ask PyPI for known vulnerabilities of the locked packages
	@$(UV) export --quiet --locked --no-emit-project --format requirements-txt \
	  | $(RUN) pip-audit --strict --disable-pip --require-hashes --requirement /dev/stdin

format: setup ## Rewrite all files in the project's format
	@$(RUN) ruff check --fix
	@$(RUN) ruff format
	@$(RUN) snakefmt Snakefile rules

d3: setup ## Fetch the report's chart library anew, as its record says
	@$(RUN) python src/gridfold/report/templates/vendor/fetch.py

schema: setup ## Regenerate schema, reference study, reference tables, picture of the layers
	@$(RUN) gridfold schema --write
	@$(RUN) python -m gridfold.reference.tables
	@$(RUN) python docs/layers.py

docs: setup ## Build the documentation in docs/_build/html
	@$(RUN) sphinx-build -q -W --keep-going -n docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Kept builds lie outside the work tree, so a second call, a re-sync and a second clone are cheap.
horovod: setup mpi ## Build Horovod (3 minutes, once) and install it
	@$(RUN) python -m gridfold.environment.horovod_build

# Without Horovod, its tests say what is missing and are skipped; in CI nothing is skipped.
horovod-tested:
	@$(MAKE) --no-print-directory horovod || test -z "$${CI:-}"

# What Horovod is built with. MPI is optional, a compiler is not.
mpi:
	@if ! { command -v g++ && command -v mpicxx && command -v mpirun; } >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing a compiler and Open MPI for Horovod"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	      g++ make libopenmpi-dev openmpi-bin >/dev/null; \
	  else \
	    echo "For Horovod with MPI, on Debian: sudo apt-get install g++ make libopenmpi-dev openmpi-bin" >&2; \
	  fi; \
	fi

# The report is tested in a real browser. Elsewhere than on Debian as root, those tests say what
# is missing and are skipped; in CI they fail instead.
browser:
	@if ! command -v chromedriver >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the report's tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    chromium chromium-driver >/dev/null; \
	fi

# The tests start a real Slurm of their own. Installed here on Debian as root only; Debian starts the
# services of these packages where it may, and the tests use none of those.
slurm:
	@if ! command -v slurmctld >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Slurm for the tests on a cluster"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -qq -y \
	    --no-install-recommends slurm-wlm slurmdbd munge mariadb-server >/dev/null; \
	fi

# Packages of Debian, each of one program: a test compares what the tests of crashes see with what
# strace sees, tests run jobs in another root with bubblewrap, and mmdebstrap makes one for `image-test`.
strace bubblewrap mmdebstrap:
	@if ! command -v $(patsubst bubblewrap,bwrap,$@) >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    $@ >/dev/null; \
	fi

clean: ## Remove environment, caches and tools, but no results
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants
