# make setup | quickstart | demo | results | test | lint | web. Everything is installed once, into .venv.
SHELL := /bin/bash
VENV := .venv
WORKDIR ?= runs/quickstart
READY := $(VENV)/.ready

.PHONY: setup quickstart demo results test lint web clean

setup: $(READY)

# The newest Python from 3.11 to 3.13, or the one of make setup PYTHON=/path/to/python.
$(READY): pyproject.toml setup.py constraints.txt
	@python="$(PYTHON)"; python="$${python:-$$(.ci/find_python)}" || exit 1; \
	echo "Installing into $(VENV) with $$("$$python" --version) ($$python);" \
	  "this takes a minute or two."; \
	[ "$$($(VENV)/bin/python --version 2>&1)" = "$$("$$python" --version)" ] \
	  || "$$python" -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev,dicom,beam,export,serve,reading]'
	@touch $(READY)

quickstart: $(READY)
	$(VENV)/bin/python -m cxr_jax.main --config=configs/quickstart.py \
	  --workdir=$(WORKDIR)

# The quickstart's model exported, films predicted with it, and a picture of its page.
demo: quickstart
	$(VENV)/bin/python -m docs.make.demo --run=$(WORKDIR)

# Every figure of docs/results.md again, from the data that are there; a second call resumes.
# make results [QUICK=1] [DATA=folder of releases] [DATA_DIR=prepared datasets]
#   [WEIGHTS=ImageNet weights of MobileNetV2] [OUT=runs/results] [ONLY=rows]
DATA ?= $(wildcard ../shared/data)
WEIGHTS ?= $(firstword $(wildcard $(DATA)/weights/mobilenet_v2*.npz))
OUT ?= runs/results
results: $(READY)
	$(VENV)/bin/python -m launch.results --out=$(OUT) $(if $(QUICK),--quick) \
	  $(if $(DATA),--data=$(DATA)) $(if $(DATA_DIR),--data_dir=$(DATA_DIR)) \
	  $(if $(WEIGHTS),--weights=$(WEIGHTS)) $(if $(ONLY),--only=$(ONLY))

# Tests start many processes: each imports in half the time with compiled modules, and
# need not begin anew for huge pages.
test: $(READY)
	GLIBC_TUNABLES="$${GLIBC_TUNABLES-glibc.malloc.hugetlb=1}" \
	  PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/.pytest_cache/bytecode" \
	  $(VENV)/bin/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

# The page of a bundle, into cxr_jax/web/page. Needs Node 20 or later; nothing else does.
web:
	cd web && npm ci --no-audit --no-fund && npm run build

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .jax_cache
