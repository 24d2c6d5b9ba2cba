# Names for the commands of README.md; the work itself is in the package.
# Another Python: make study PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: study lab test bench clean

study: $(READY)  ## panel, notebooks, figures, headline numbers
	@$(BIN)/kokeilu study

lab: $(READY)  ## the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

test: $(READY)  ## every test, the notebooks included
	@$(BIN)/python -m pytest

bench: $(READY)  ## every promised speed figure to docs/timings.md; about an hour, alone
	@$(BIN)/python bench/all.py --large

# The environment is remade when the lock changes; an interrupted install is not taken for whole.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Creating .venv from requirements.lock (one to two minutes, once) …"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:  ## everything that can be made again, but for committed results
	rm -rf .venv reports
