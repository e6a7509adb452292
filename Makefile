# Short names for what the scripts do; nothing is decided here.
.PHONY: run test fast lint types bench faults snapshots wheel clean

PY = .venv/bin/python

run:
	./fleet

test:
	./test

fast:
	./test fast

lint:
	.venv/bin/ruff check . && .venv/bin/ruff format --check .

types:
	.venv/bin/mypy

bench:
	$(PY) -m bench

# The fault laboratory with its long variants: an hour or less, as root. FLEET_FAULT_SEED repeats a failure.
faults:
	FLEET_FAULTS=long $(PY) -m pytest tests/faults --timeout 1800 --durations=20

# Redraws every picture in snapshots/: look at the diff before committing it.
snapshots:
	$(PY) -m pytest tests/screens --snapshot-update

wheel:
	$(PY) -m build --wheel --no-isolation

clean:
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis snapshot_report.html
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
