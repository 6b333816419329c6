# Two commands do everything: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where a system keeps Python from storing compiled modules, each of the many processes that import
# torch compiles it anew, which doubles its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-thorough lint clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -m venv $(VENV) || { echo "No venv module: run 'apt-get install python3-venv' and try again."; exit 1; }
	@$(BIN)/python -m pip install --quiet uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/cnn-export models/checkpoints/skipnet_digits.pt --target tflite --output out
	$(BIN)/cnn-bench run out/skipnet_digits.tflite --repeats 6 --min-time 0.5s --out out/results.jsonl

# Each worker gets one half of the tests in their order, so that a module's fixtures are made once;
# who is done takes from the other's end.
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal

test: setup app-tools
	$(PYTEST) tests

# Every seed and every example of the sweeps, where `make test` runs a part (tests/effort.py).
test-thorough: setup app-tools
	CNN_EXPORT_THOROUGH=1 $(PYTEST) tests

lint: setup types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# The import name differs from the folders' names; pyright only follows folders, so it gets links.
.PHONY: types
types:
	@rm -rf build/types && mkdir -p build/types/cnn_export
	@ln -s $(CURDIR)/export/* $(CURDIR)/reparam $(CURDIR)/models $(CURDIR)/benchmarks build/types/cnn_export/

# The Android runner app; see android_app/README.md.
# `make app RUNTIMES="tflite onnxruntime" ABIS="arm64-v8a x86_64"` chooses what is inside.
APP_BUILD = cd android_app && $(PYTHON) -B -m build_tools
export CNN_EXPORT_CACHE RUNTIMES ABIS

.PHONY: app app-jvm app-test app-tools
app-tools:
	@$(APP_BUILD) app-tools

app:
	@$(APP_BUILD) app

app-jvm:
	@$(APP_BUILD) app-jvm

app-test: setup app-tools
	$(BIN)/python -m pytest tests/android_app

clean:
	rm -rf $(VENV) build android_app/build *.egg-info out
