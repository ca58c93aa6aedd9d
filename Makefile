# Each target installs what it needs into .venv, once, and again only when pyproject.toml or constraints.txt change.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# dozens of processes would each compile the sources anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench clean

demo: .venv/isoscope
	.venv/bin/isoscope demo

test: .venv/isoscope-test
	.venv/bin/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

check: .venv/isoscope-check
	.venv/bin/ruff check service flows migrations tests benchmarks
	.venv/bin/ruff format --check service flows migrations tests benchmarks
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_layering.py tests/test_conventions.py

bench: .venv/isoscope-bench
	.venv/bin/python benchmarks/twonn_and_anisotropy.py
	.venv/bin/python benchmarks/extraction.py
	.venv/bin/python benchmarks/separability.py
	.venv/bin/python benchmarks/similarity.py
	.venv/bin/python benchmarks/stitching.py
	.venv/bin/python benchmarks/attribution_scores.py
	.venv/bin/python benchmarks/attribution.py
	.venv/bin/python benchmarks/store.py
	.venv/bin/python benchmarks/monitor.py --layers 4

clean:
	rm -rf .venv build *.egg-info

.venv/isoscope: pyproject.toml constraints.txt
	@echo "setting up .venv (once)"
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/isoscope-test: .venv/isoscope
	$(PIP) -e '.[test]'
	@touch $@

.venv/isoscope-check: .venv/isoscope-test
	$(PIP) -e '.[test,check]'
	@touch $@

.venv/isoscope-bench: .venv/isoscope
	$(PIP) -e '.[bench]'
	@touch $@
