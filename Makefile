# The course's only entry points. `make help` lists them; README.md has the plain commands.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: site-and-browser $(shell sed -n "s/^\([a-z-]*\):.*\#\# .*/\1/p" $(firstword $(MAKEFILE_LIST)))

BIN := .venv/bin
PORT ?= 8000
WORKERS ?= 2

# The site, and the one that carries Pyodide: OFFLINE=1, with its files from PYODIDE_DIR if it is set.
SITE := $(if $(OFFLINE),_build/offline/_build/html,_build/html)

# A virtual environment cannot be moved. The stamps of what was installed lie in a folder named after
# this path: in a moved copy there are none, and .venv is made anew, as where its Python is gone.
INSTALLED := .venv/at-$(shell pwd | cksum | cut -d " " -f 1)
$(shell test -x $(BIN)/python || rm -rf $(INSTALLED))
COURSE := $(INSTALLED)/requirements.lock
TESTS := $(INSTALLED)/tests/requirements.lock
TORCH := $(INSTALLED)/tests/requirements-torch.txt
MUTANTS := $(INSTALLED)/tests/requirements-mutants.txt

# A worker has one core: threads of the matrix library would only get into each other's way.
# loadfile: a notebook's cells share a kernel and must not be dealt out to several workers.
PARALLEL := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest \
	-n $(WORKERS) --dist loadfile

# A chapter in the browser's kernel takes a minute or two: whoever is done takes work from the others.
SITE_PYTEST := $(BIN)/python -m pytest --dist worksteal

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

# What a build left that was ended, or that failed, is thrown away: Sphinx would take a page that was
# half written for a whole one, and say its warnings only once.
book: $(COURSE) ## build the site, warnings being errors, and check its links (OFFLINE=1: with all of Pyodide)
	@$(BIN)/python -m website.tools.javascript
	@! test -e $(SITE).unfinished || rm -rf $(addprefix $(dir $(SITE)),html .doctrees jupyter_execute)
	@mkdir -p $(dir $(SITE)) && touch $(SITE).unfinished
	@$(BIN)/jupyter-book build -W -n --keep-going --path-output $(if $(OFFLINE),_build/offline,.) . || \
		{ echo "The book is not built: the reason stands above. Run make book again" >&2; exit 1; }
	@rm $(SITE).unfinished
	@$(MAKE) --no-print-directory $(SITE)/lite/.made
	@$(BIN)/python -m website.tools.links $(SITE)
	@$(if $(COURSE),,exit;) echo "The course is built. Open it: make serve$(if $(OFFLINE), OFFLINE=$(OFFLINE)), or $(CURDIR)/$(SITE)/index.html"

# The browser's kernel takes half a minute: it is built anew only after a change of what it is made of.
OF_LITE := chapters/*.ipynb initcore/*.* initcore/*/*.* initcore/*/*/*.* website/lite/* \
	website/tools/*.py website/extensions/policy.py website/package*.json pyproject.toml \
	requirements.txt LICENSE*
$(SITE)/lite/.made: $(filter-out %.pyc,$(wildcard $(OF_LITE)))
	@$(BIN)/python -m website.tools.lite $(SITE)
	@mkdir -p $(@D) && touch $@

serve: book ## build the site and serve it on this machine (PORT=8000)
	@$(BIN)/python -m website.tools.serve $(SITE) $(PORT)

lab: $(COURSE) ## open the chapters in JupyterLab (ARGS="…" are passed on)
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter-lab --ServerApp.root_dir=. \
		--LabApp.default_url=/lab/tree/chapters $(ARGS)

test: $(TESTS) ## run everything: lint, doctests, unit and statistical tests, the notebooks by nbval
	@$(PARALLEL) $(ARGS)

test-site: site-and-browser ## test the built site in a browser, as readers use it (CHROMIUM=/path/to/a/browser)
	@$(SITE_PYTEST) -n $$(($(WORKERS) + 1)) tests/site $(ARGS) # each waits for its browser half of the time

test-lite: site-and-browser ## run all chapters in the browser's kernel (half an hour; ARGS="--chapters 04" for one)
	@$(SITE_PYTEST) -n $(WORKERS) tests/site/test_lite.py --chapters all $(ARGS)

site-and-browser: $(TESTS)
	@$(BIN)/python -m website.tools.javascript tests/site
	@$(BIN)/python tests/site/browser.py
	@$(MAKE) --no-print-directory book OFFLINE=1

test-all: $(TESTS) $(TORCH) ## make test with its coverage, the tests against PyTorch (gigabytes), the oldest NumPy
	@$(PARALLEL) --cov --cov-report term -o "norecursedirs=.* node_modules site"
	@$(BIN)/nox -k numpy_1_26

matrix: $(TESTS) ## run the notebooks on several Pythons, NumPys, processors, threads, in the browser
	@$(BIN)/nox $(ARGS)

bench: $(TESTS) ## measure initcore beside its peers, and PyTorch if it is there (ARGS=orthogonal for some)
	@$(BIN)/python benchmarks/peers.py $(ARGS)

bench-growth: $(TESTS) book ## measure how the costs grow: draws, steps, the chapters, the site
	@$(BIN)/python benchmarks/growth.py $(ARGS)

audit: $(TESTS) ## measure what Keras and Flax draw by default, and PyTorch if it is there; then make lists
	@$(BIN)/python benchmarks/audit.py $(ARGS)

replicate: $(TESTS) ## measure the papers again; after an interruption it goes on (minutes; ARGS="glorot2010" for some)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/replicate.py $(ARGS)

mutants: $(TESTS) $(MUTANTS) ## break the package in thousands of ways: which do the tests see (hours; ARGS="--sample 300")
	@$(BIN)/python tests/mutants.py unit $(ARGS); status=$$?; \
		$(BIN)/python tests/mutants.py notebooks $(ARGS) && exit $$status

RUNS ?= 30
shuffled: $(TESTS) ## run the tests of the package RUNS=30 times, in random order, with a random hash seed (hours)
	@failed=0; for run in $$(seq $(RUNS)); do echo "Run $$run"; PYTHONHASHSEED=$$run $(PARALLEL) -q \
		--no-loadscope-reorder --shuffle $$run tests initcore $(ARGS) || failed=$$((failed + 1)); done; \
		echo "$$failed of $(RUNS) runs failed"; test $$failed = 0

fuzz: $(TESTS) ## call all public functions with what is right, nearly right or absurd (ARGS="600 theory")
	@PYTHONPATH=. OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/fuzz.py $(ARGS)

calibrate: $(TESTS) ## judge diagnose by 300 healthy and 300 broken nets, PyTorch's if it is there (ARGS="--half seen")
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python tests/calibrate.py $(ARGS)

notebooks: $(COURSE) ## run all notebooks and store their outputs (ARGS="chapters/03….ipynb" for one)
	@$(BIN)/python -m website.tools.notebooks $(ARGS)
	@$(if $(findstring --check,$(ARGS)),,$(BIN)/python -m website.tools.picture)

quick: $(TESTS) ## compare what the notebooks say with what is stored, without kernels (ARGS="chapters/03….ipynb")
	@$(BIN)/python tests/quick.py $(ARGS)

explorers: $(COURSE) ## measure the numbers of the live figures (minutes; ARGS="scale" for one)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m initcore.explorers $(ARGS)

lists: $(COURSE) ## write the pages of the claims, the sources, the papers, the ten minutes from what they repeat
	@$(BIN)/python -m website.tools.lists

students: $(COURSE) ## write the course without solutions, and an answer key, into _build
	@$(BIN)/python -m website.tools.students

grade: $(COURSE) ## check the answers in a folder of returned notebooks (ARGS=FOLDER)
	@$(BIN)/python -m website.tools.grade $(ARGS)

# The site without solutions is built in a copy of the course, by the .venv of this one.
COPY := $(if $(STUDENTS),_build/students)
zip: $(COURSE) ## write the offline site with a server of its own, to be run from a stick (STUDENTS=1: no solutions)
	@$(BIN)/python -m website.tools.javascript
	@$(if $(COPY),$(BIN)/python -m website.tools.students $(COPY))
	@$(MAKE) --no-print-directory $(if $(COPY),-C $(COPY) BIN=../../$(BIN) COURSE=) book OFFLINE=1
	@$(BIN)/python -m website.tools.course_zip $(if $(COPY),$(COPY)/)_build/offline/_build/html \
		_build/course-offline$(if $(COPY),-students).zip

lint: $(TESTS) ## check style and spelling only
	@$(BIN)/python -m pytest -q tests/test_lint.py

format: $(TESTS) ## rewrite code and notebooks in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-package initcore --custom-compile-command "make lock" $(ARGS)
lock: $(TESTS) ## write the locks: all packages of the requirements.txt, with hashes (ARGS=--upgrade: newer ones)
	@$(LOCK) requirements.txt tests/requirements.txt -o tests/requirements.lock
	@$(LOCK) -c tests/requirements.lock requirements.txt -o requirements.lock

SBOM := $(BIN)/python -W ignore -m cyclonedx_py requirements --output-reproducible
sbom: $(TESTS) ## list all packages of the course and its site for machines, in CycloneDX, into _build/sbom
	@$(BIN)/python -m website.tools.javascript
	@mkdir -p _build/sbom
	@$(SBOM) --pyproject pyproject.toml -o _build/sbom/python.json requirements.lock
	@$(SBOM) -o _build/sbom/browser.json website/lite/requirements.txt
	@cd website && PATH="$$PATH:../$(BIN)" npm sbom --package-lock-only --sbom-format cyclonedx \
		>../_build/sbom/javascript.json

clean: ## remove all that the other targets made, .venv included
	rm -rf .venv .nox _build website/node_modules tests/site/node_modules \
		.pytest_cache .ruff_cache .hypothesis .coverage*
	find chapters initcore tests website \( -name __pycache__ -o -name .ruff_cache \) -prune \
		-exec rm -rf {} +

$(INSTALLED)/python:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
		if "$$python" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
			echo "Making .venv with $$("$$python" --version)"; \
			exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	echo "Python 3.11 or later is needed, with its venv module (on Debian: apt install python3-venv)." \
		"Install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1
	@mkdir -p $(@D)
	@touch $@

# pip compiles on one core, compileall on all; files that are not for this Python fail, and stay.
# In the end Matplotlib lists the machine's fonts: else it would say so in a notebook's first figure.
# A lock is complete and has the hash of every file, but of initcore: that is this folder.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --no-compile
$(COURSE) $(TESTS) $(TORCH) $(MUTANTS): $(INSTALLED)/%: % pyproject.toml | $(INSTALLED)/python
	@echo "Installing $* into .venv (the first time takes a minute or two)"
	@{ $(PIP) $(if $(filter %.lock,$*),--require-hashes --no-deps) -r $* && \
		$(PIP) --no-deps --no-build-isolation -e .; } >.venv/pip.log 2>&1 || { echo "pip could not" \
		"install $* ($$(grep -m 1 ^ERROR .venv/pip.log)): is there a network? Its words are in" \
		".venv/pip.log" >&2; exit 1; }
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >>.venv/pip.log 2>&1 || true
	@$(BIN)/python -c "import matplotlib.font_manager" >>.venv/pip.log 2>&1
	@mkdir -p $(@D)
	@touch $@
