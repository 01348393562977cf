# What a developer does every day. CONTRIBUTING.md tells more; .ci/run does all of it.

PYTHON ?= python

.PHONY: dev serve test check debug sanitize fuzz conformance programs wheel bench results docs docs-serve clean

dev:  # an editable install, built in place, with every tool
	$(PYTHON) -m pip install -e '.[dev,bench]'

serve:
	$(PYTHON) -m fastserve

test:
	$(PYTHON) -m pytest

STUBS = $(subst /,.,$(basename $(shell find fastserve -name '_*.pyi')))
check:  # stubtest asks the modules that are built in place
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy.stubtest --concise --allowlist tests/stubs.allowlist $(STUBS)
	PATH="$$($(PYTHON) -c 'import sys; print(sys.prefix)')/bin:$$PATH" cython-lint fastserve

debug sanitize:  # the test suite against a build of that kind, in build/
	.ci/suite $@ $(PYTHON)

T = 60
fuzz:  # every target for T seconds, guided by coverage, on a sanitizer build; needs clang
	.ci/suite fuzz $(PYTHON) --seconds $(T)

conformance:  # what RFC 9110 and 9112 ask, and who does it
	cd tests && PYTHONPATH=..:. $(PYTHON) -m wire.conformance.table

programs:  # other people's programs on fastserve, in an environment of their own
	$(PYTHON) -m venv --clear build/programs
	build/programs/bin/python -m pip --quiet install '.[test]' -r tests/programs/requirements.txt
	cd build/programs && bin/python -m pytest --config-file=../../pyproject.toml ../../tests/programs

docs:  # the documentation, into build/docs; pip install -e '.[docs]' brings what it needs
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --clean

docs-serve:  # the same on port 8001, built again at each change
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs serve --dev-addr 127.0.0.1:8001

wheel:  # as published, installed and used where no compiler is; in build/wheel/dist
	.ci/wheel $(PYTHON)

bench:  # the table and the chart of the README
	$(PYTHON) -m fastserve.rig measure bench/peers.toml

R = build/bench/results
M = $(PYTHON) -m fastserve.rig measure bench/peers.toml
results:  # everything that is measured, for an hour, and bench/RESULTS.md with the charts
	mkdir -p $(R)
	$(M) --json $(R)/peers.json --svg bench/chart.svg
	$(M) --all --seconds 1 --json $(R)/all.json
	-$(PYTHON) bench/promises.py --json $(R)/promises.json
	$(M) --scenario file1k --scenario hello --rounds 1 --seconds 10 --system-calls --json $(R)/calls.json
	$(PYTHON) bench/tls.py --json $(R)/tls.json
	$(PYTHON) bench/results.py $(R)/promises.json $(R)/peers.json $(R)/all.json $(R)/tls.json $(R)/calls.json

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f fastserve/*.so fastserve/serving/*.so fastserve/rig/*.so
	find . -name __pycache__ -prune -exec rm -rf {} +
