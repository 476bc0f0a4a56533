# The course's only entry points. `make help` lists them; README.md has the plain commands.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book serve lab test test-site test-lite site-and-browser test-all matrix bench-site \
	notebooks explorers students zip lint format clean

BIN := .venv/bin
ENVIRONMENT := sh website/tools/environment.sh requirements.txt
TEST_ENVIRONMENT := $(ENVIRONMENT) tests/requirements.txt
PORT ?= 8000
WORKERS ?= 2

# The site, and the one that carries Pyodide: OFFLINE=1, with its files from PYODIDE_DIR if it is set.
SITE := $(if $(OFFLINE),_build/offline/_build/html,_build/html)
export OFFLINE PYODIDE_DIR PACKAGED_PYODIDE

# A Python to build .venv with, where the one on the path is not the one wanted.
export PYTHON

# A worker has one core: threads of the matrix library would only get into each other's way.
# loadfile: a notebook's cells share a kernel and must not be dealt out to several workers.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest \
	-n $(WORKERS) --dist loadfile --cov --cov-report term

# A chapter in the browser's kernel takes a minute or two: whoever is done takes work from the others.
SITE_PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

book: ## build the site, warnings being errors, and check its links (OFFLINE=1: with all of Pyodide)
	@$(ENVIRONMENT)
	@$(BIN)/python -m website.tools.javascript
	@$(BIN)/jupyter-book build -W -n --keep-going --path-output $(if $(OFFLINE),_build/offline,.) .
	@$(BIN)/python -m website.tools.lite $(SITE)
	@$(BIN)/python -m website.tools.links $(SITE)
	@echo "The course is built. Open it: make serve$(if $(OFFLINE), OFFLINE=$(OFFLINE)), or $(CURDIR)/$(SITE)/index.html"

serve: book ## build the site and serve it on this machine (PORT=8000)
	@$(BIN)/python -m website.tools.serve $(SITE) $(PORT)

lab: ## open the chapters in JupyterLab (ARGS="…" are passed on)
	@$(ENVIRONMENT)
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter-lab --ServerApp.root_dir=. \
		--LabApp.default_url=/lab/tree/chapters $(ARGS)

test: ## run everything: lint, doctests, unit and statistical tests, the notebooks by nbval
	@$(TEST_ENVIRONMENT)
	@$(PYTEST)

test-site: site-and-browser ## test the built site in a browser, as readers use it (PACKAGED_BROWSER=1: in npm's)
	@$(SITE_PYTEST) tests/site $(ARGS)

test-lite: site-and-browser ## run all chapters in the browser's kernel (half an hour; ARGS="--chapters 04" for one)
	@$(SITE_PYTEST) tests/site/test_lite.py --chapters all $(ARGS)

site-and-browser:
	@$(TEST_ENVIRONMENT) tests/site/requirements.txt
	@$(BIN)/python -m website.tools.javascript tests/site $(if $(filter 1,$(PACKAGED_BROWSER)),tests/site/chromium)
	@$(BIN)/python tests/site/browser.py
	@$(MAKE) --no-print-directory book OFFLINE=1

test-all: ## what make test runs, and the tests against PyTorch (a large download)
	@$(BIN)/python -c "import torch" 2>/dev/null || \
		echo "PyTorch is installed for this: up to several gigabytes (a CPU build, on Linux, is smaller)"
	@$(TEST_ENVIRONMENT) tests/requirements-torch.txt
	@$(PYTEST) -o "norecursedirs=.* node_modules site"

matrix: ## run the notebooks on three NumPy versions, several processors and threads (20 minutes)
	@$(TEST_ENVIRONMENT)
	@$(BIN)/python tests/matrix.py $(ARGS)

bench-site: book ## measure the built site in a browser: weight, paint, shifts, live figures (10 minutes)
	@$(TEST_ENVIRONMENT) tests/site/requirements.txt
	@$(BIN)/python tests/site/browser.py
	@$(BIN)/python benchmarks/site.py $(SITE)
	@$(BIN)/python benchmarks/explorers.py $(SITE)

notebooks: ## run all notebooks and store their outputs (ARGS="chapters/03….ipynb" for one)
	@$(ENVIRONMENT)
	@$(BIN)/python -m website.tools.notebooks $(ARGS)
	@$(BIN)/python -m website.tools.picture

explorers: ## measure the numbers of the live figures (minutes; ARGS="scale" for one)
	@$(ENVIRONMENT)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m website.tools.explorer_data $(ARGS)

students: ## write the course without solutions, and an answer key, into _build
	@$(ENVIRONMENT)
	@$(BIN)/python -m website.tools.students

zip: ## write the offline site with a server of its own, to be run from a stick, into _build
	@$(MAKE) --no-print-directory book OFFLINE=1
	@$(BIN)/python -m website.tools.course_zip _build/offline/_build/html

lint: ## check style and spelling only
	@$(TEST_ENVIRONMENT)
	@$(BIN)/python -m pytest -q tests/test_lint.py

format: ## rewrite code and notebooks in the project's style
	@$(TEST_ENVIRONMENT)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove all that the other targets made, .venv included
	rm -rf .venv .matrix _build website/node_modules tests/site/node_modules \
		tests/site/chromium/node_modules .pytest_cache .ruff_cache .hypothesis .coverage*
	find initcore tests website -name __pycache__ -type d -prune -exec rm -rf {} +
