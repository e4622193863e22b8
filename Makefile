# `make` lists what there is.  Any setting can follow: `make run PORT=8123 DEMO=0`.
.DEFAULT_GOAL := help
.SUFFIXES:
SHELL := /bin/sh
python := .venv/bin/python
# Compiled modules are kept, whatever the shell says: each process here imports some hundreds.
unexport PYTHONDONTWRITEBYTECODE

# What `manage.py check --deploy` looks at: the settings of an installation behind TLS.
production := HTTPS=1 BEHIND_PROXY=1 ALLOWED_HOSTS=nexus.example.org \
	SECRET_KEY=a-key-for-this-check-only-0123456789-abcdefghijklmnopqrstuvwxyz

# Tests of one xdist_group share something and stay in one process.
in-parallel := -n auto --dist loadgroup

.PHONY: help run web worker migrate test check compare-engines corpus fuzz fuzz-api bench-media bench-jobs bench-api bench-pages \
	chaos screenshots clean install install-test

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/make \1|\2/p' Makefile | awk -F'|' '{ printf "  %-18s %s\n", $$1, $$2 }'

run: install ## install what is missing and serve (PORT=8000 HOST=127.0.0.1 DATA_DIR=./data DEMO=1)
	@$(python) -m config.prepare
	@exec $(python) -m config.serve

web: migrate ## the web server alone
	@exec $(python) -m gunicorn --config config/gunicorn.py config.wsgi

worker: install ## the consumer of one queue alone (QUEUE=jobs or uploads)
	@exec $(python) manage.py run_huey --queue $(or $(QUEUE),jobs)

migrate: install ## bring the database and the static files up to date
	@$(python) manage.py migrate --verbosity 1
	@$(python) manage.py collectstatic --no-input --verbosity 0

test: check ## everything: lint, types, imports, migrations, deployment check, tests (ARGS="-k range")
	$(python) manage.py makemigrations --check --dry-run
	env -u DEBUG $(production) DATA_DIR=build/deployment-check $(python) manage.py check --deploy --fail-level WARNING
	$(python) -m pytest $(in-parallel) $(ARGS)
	$(python) -m tests.on_servers $(in-parallel) $(ARGS)

check: install-test ## lint, formatting, types, import rules
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) .venv/bin/lint-imports

compare-engines: install-test ## every disagreement of the two media engines, and why
	@$(python) -m bench.compare_engines

corpus: install-test ## what both engines find in other people's files (DIR=../shared/corpus)
	@$(python) -m bench.corpus $(or $(DIR),../shared/corpus)

fuzz: install-test ## mutated files through both engines (N=10000 SEED=1 REPLAY=index)
	@$(python) -m bench.mutate $(or $(N),10000) --seed $(or $(SEED),1) $(if $(REPLAY),--replay $(REPLAY))

fuzz-api: install-test ## schemathesis over the API's schema, as participant and as outsider (N=200 SEED=1)
	@$(python) -m tests.api.fuzz $(or $(N),200) --seed $(or $(SEED),1)

bench-media: install-test ## time per video, ours and others' (DIR=../shared/corpus/files ROUNDS=5)
	@$(python) -m pip install -q --disable-pip-version-check -r bench/requirements.txt
	@$(python) -m bench.media $(or $(DIR),../shared/corpus/files) --rounds $(or $(ROUNDS),5)

bench-pages: install-test ## the lists of the dashboard over many rows, every filter and order (ROWS=1000000 ROUNDS=5 ARGS="--keep FOLDER videos")
	@$(python) -m bench.pages --rows $(or $(ROWS),1000000) --rounds $(or $(ROUNDS),5) $(ARGS)

bench-jobs: install-test ## the job engine over many rows, a real backfill, uploads beside it (ROWS=1000000 CLIPS=2000)
	@$(python) -m bench.jobs --rows $(or $(ROWS),1000000) --clips $(or $(CLIPS),2000)

bench-api: install-test ## uploads, downloads, memory and lists of the API (ARGS="--rows 1000000")
	@$(python) -m bench.api $(ARGS)

chaos: install-test ## a job under kills, freezes, outages, on SQLite and PostgreSQL (N=100000 SEED=1 ONLY=sqlite)
	@$(python) -m tests.moderation.chaos --items $(or $(N),100000) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

screenshots: install-test ## take the pictures in docs/screenshots with the browser tests
	$(python) -m pytest tests/browser/screenshots.py $(ARGS)

clean: ## remove .venv and caches; data is kept
	rm -rf .venv tests/javascript/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@sh config/install.sh run

install-test:
	@sh config/install.sh test
