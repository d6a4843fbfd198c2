# `make` alone lists the targets. Every target sets up what it needs in .venv, once.
PYTHON  ?= python3
PRESET  ?= lite
DATA    ?= scenes
SEEDS   ?= 3
JOBS    ?=
TABLES  ?= 1 2 3 4
FACTORIAL ?=
FRESH   ?=
CLUSTER ?=
RAY     ?=
FROM    ?=
KARPATHY ?=
KEEP    ?=
NAME    ?= $(error NAME= is needed: the name of the data set that you make)
CAPTIONS ?= $(error CAPTIONS= is needed: the file of captions)
LISTS   ?=
DETECTOR ?=
FEATURES ?=
REGIONS ?=
TOLERATE ?=
DRAW    ?= 2026
SUBMISSIONS ?= tests/submissions
ifeq ($(SUBMISSIONS),tests/submissions)
HIDDEN  ?= 531
else
HIDDEN  ?= $(error HIDDEN= is needed: a number that only you know; it draws the pictures that score the capstone)
endif
UNSAFE  ?=
FILE    ?= $(error FILE= is needed: the student's notebook that you want to check)
IMAGES  ?= 0
ONLY    ?=
ROW     ?= $(error ROW= is needed: a row of a recorded table, such as "VSR++")
RECORDED ?= scenes-lite
TABLE   ?=
SEED    ?= 0
N       ?=
PAPER   ?=
SEARCH  ?=

BIN := .venv/bin
PIP := -m pip install --quiet --disable-pip-version-check
override VSRPP_HOME := $(or $(VSRPP_HOME),$(CURDIR))
ifeq ($(filter /%,$(VSRPP_HOME)),) # notebooks run in another folder, where a relative path would be another place
override VSRPP_HOME := $(CURDIR)/$(VSRPP_HOME)
endif
export VSRPP_HOME
export TOKENIZERS_PARALLELISM := false

.PHONY: help env lock reproduce-tables tune record verify-recorded report check test test-browser mutants kills fuzz lint types lab notebooks book profile bench test-gpu \
  data-multi30k data-f30k data-coco data-photographs data-flickr8k assignments grade check-submission wheel clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z0-9 -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

env: .venv/.ready ## the virtual environment, .venv

.venv/.ready: requirements.txt requirements-torch.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --no-deps --require-hashes --requirement requirements.txt
	$(BIN)/python $(PIP) --requirement requirements-torch.txt
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	touch $@

lock: ## write requirements.txt anew from pyproject.toml: needs uv
	uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-annotate --python-version 3.11.7 \
	  $$(for name in torch triton $$(uv pip compile pyproject.toml --all-extras --universal --no-annotate --no-header \
	    --python-version 3.11.7 | grep -oE '^(nvidia|cuda)[a-z0-9-]*'); do echo --no-emit-package $$name; done) \
	  --custom-compile-command "make lock" --output-file requirements.txt

reproduce-tables: .venv/.ready ## the paper's tables: PRESET=smoke|lite|long|real|paper DATA=scenes|... SEEDS=3 JOBS=2 TABLES="1 2 3 4" FACTORIAL=1 FRESH=1 CLUSTER=tcp://host:8786 RAY=1
	$(BIN)/python -m vsrpp_lite reproduce --preset $(PRESET) --data "$(DATA)" --seeds $(SEEDS) $(if $(JOBS),--jobs $(JOBS)) --tables "$(TABLES)" \
	  $(if $(FACTORIAL),--factorial) $(if $(FRESH),--fresh) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(RAY),--ray)

tune: .venv/.ready ## the study that finds every system's recipe: PRESET=lite|long|real
	$(BIN)/python -m vsrpp_lite tune $(PRESET)

record: .venv/.ready ## keep the tables of results/ under notebooks/recorded: DATA=scenes|...
	$(BIN)/python -m vsrpp_lite record --data "$(DATA)"

verify-recorded: .venv/.ready ## train a recorded row again and compare every rank: ROW="VSR++" RECORDED=scenes-lite TABLE=table4 SEED=0
	$(BIN)/python -m vsrpp_lite verify-recorded "$(ROW)" --recorded $(RECORDED) --table "$(TABLE)" --seed $(SEED)

report: .venv/.ready ## write RESULTS.md, and the README's table, from notebooks/recorded
	$(BIN)/python -m vsrpp_lite report

check: .venv/.ready lint types ## an answer in about a minute: style, types, and the fast tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadgroup -m "not slow"

test: .venv/.ready ## pytest, docstring examples and nbval
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup --max-worker-restart 0

test-browser: .venv/.ready ## lessons and an assignment in JupyterLab, and the site of `make book`, in headless Chromium (Debian: apt-get install chromium chromium-driver)
	$(BIN)/python -m pytest -p no:xdist tests/browser.py tests/browser_site.py

mutants: .venv/.ready ## undo one decision of the package at a time, and see whether the tests notice: ONLY=words of a decision
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py "$(ONLY)"

kills: .venv/.ready ## kill commands at random moments and call them again: N=100 kills, ONLY=words of a kind of command
	OMP_NUM_THREADS=1 $(BIN)/python tests/kills.py $(or $(N),100) --only "$(ONLY)"

fuzz: .venv/.ready ## damage data folders, run folders and exported models at random, and use them: N=300 cases
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz.py $(or $(N),300)

lint: .venv/.ready ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready ## mypy
	$(BIN)/mypy

lab: .venv/.ready ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

notebooks: .venv/.ready ## from the text in notebooks/src to notebooks/*.ipynb, executed
	for source in notebooks/src/*.py; do \
	  $(BIN)/jupytext --quiet --to ipynb --update --output notebooks/$$(basename $$source .py).ipynb $$source || exit 1; done
	OMP_NUM_THREADS=1 PYTHONPATH=notebooks/_extensions $(BIN)/jupyter nbconvert --log-level WARN --to notebook --inplace --execute \
	  --NotebookExporter.preprocessors=stored.Stored --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb

book: .venv-book/.ready ## the notebooks as a site, from their stored outputs: results/book/_build/html/index.html
	.venv-book/bin/jupyter-book build notebooks --path-output results/book -W --keep-going

.venv-book/.ready: Makefile
	$(PYTHON) -m venv .venv-book
	.venv-book/bin/python -m pip install --quiet --disable-pip-version-check jupyter-book==1.0.4.post1 sphinx-mathjax-offline==0.0.2 sphinx-autoapi==3.9.0
	touch $@

profile: .venv/.ready ## where a training step of each system goes, for RESULTS.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/profile_steps.py

bench: .venv/.ready ## timings side by side, into results/bench.csv, and a line of this version into notebooks/recorded/bench.csv; PAPER=1: a step of each system at its published size, for RESULTS.md; else SEARCH=1: a million vectors, for lesson 11
	$(if $(PAPER)$(SEARCH),OMP_NUM_THREADS=1) $(BIN)/python tests/bench$(if $(PAPER),_paper,$(if $(SEARCH),_search)).py

test-gpu: .venv/.ready ## what needs a GPU; says why it skips where there is none
	$(BIN)/python -m pytest -m gpu -rs tests

data-multi30k: .venv/.ready ## real captions: FROM=folder uses files at hand, IMAGES=N keeps N training images
	$(BIN)/python data_scripts/multi30k.py "$(VSRPP_HOME)/data/multi30k" $(if $(FROM),--from "$(FROM)") --images $(IMAGES)

data-f30k data-coco: .venv/.ready ## the paper's region features, from Kaggle: FROM=folder or archive of your own, KARPATHY=json for its captions, KEEP=1
	$(BIN)/python data_scripts/released.py "$(VSRPP_HOME)/data/$(@:data-%=%)" $(if $(FROM),--from "$(FROM)") $(if $(KARPATHY),--karpathy "$(KARPATHY)") $(if $(KEEP),--keep)

data-photographs: .venv/.ready ## pictures and captions of your own: NAME=mine FROM=folder CAPTIONS=file LISTS="files" DETECTOR= FEATURES= REGIONS=36 TOLERATE=1
	$(BIN)/python data_scripts/photographs.py "$(VSRPP_HOME)/data/$(NAME)" --from "$(FROM)" --captions "$(CAPTIONS)" $(foreach list,$(LISTS),--lists "$(list)") \
	  $(if $(DETECTOR),--detector "$(DETECTOR)") $(if $(FEATURES),--features "$(FEATURES)") $(if $(REGIONS),--regions $(REGIONS)) $(if $(TOLERATE),--tolerate $(TOLERATE))

data-flickr8k: .venv/.ready ## 8,000 photographs: FROM=data folder that is made already, else their pictures and captions are downloaded
	$(BIN)/python data_scripts/flickr8k.py "$(VSRPP_HOME)/data/flickr8k" $(if $(FROM),--from "$(FROM)")

assignments: .venv/.ready ## the student version of the assignments: DRAW=year
	$(BIN)/python notebooks/assignments/course build --draw $(DRAW)

grade: .venv/.ready ## grades.csv and feedback: SUBMISSIONS=folder of <student>/<assignment>.ipynb, HIDDEN=number only you know, UNSAFE=1 without bubblewrap
	$(BIN)/python notebooks/assignments/course grade "$(SUBMISSIONS)" --hidden $(HIDDEN) $(if $(UNSAFE),--unsafe)

check-submission: .venv/.ready ## whether a student's notebook is whole and which tests pass: FILE=<assignment>.ipynb
	$(BIN)/python notebooks/assignments/course check "$(FILE)" $(if $(UNSAFE),--unsafe)

wheel: .venv/.ready ## the wheel, with the notebooks, into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean: ## the virtual environments; runs, data and results stay
	rm -rf .venv .venv-book
