# Needs Python 3.10+, g++ and make. Everything else goes into a virtual environment: $(VENV).
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
CXX_FILES = $(shell find csrc test/native benchmarks -name '*.h' -o -name '*.cpp' -o -name '*.c')
CMAKE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev build demo test native native-sanitize native-valgrind stress matrix \
  lint format bench bench-models bench-peers charts performance docs clean

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.requirements ## Create the virtual environment with what build, demo and tests need.

setup-dev: $(VENV)/.requirements-dev ## The same with the tools of lint, format and docs.

build: setup ## Build the C++ library in place; recompiles only what changed.
	$(BIN)/python setup.py -q build_ext --inplace
	@$(MAKE) -s $(VENV)/.editable

demo: build ## Train, quantize, pack, save, load and run a small CNN on handwritten digits.
	$(BIN)/python -m torch_qconv_prepack demo

test: build ## Run the tests; PYTEST_ARGS="-k name" for some of them.
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

native: setup ## Build the native core without torch in build/native, and run its C++ tests.
	$(CMAKE) -S csrc/native -B build/native -DQCONV_BENCHMARKS=ON
	$(BIN)/cmake --build build/native
	$(BIN)/ctest --test-dir build/native -j 2 --output-on-failure

native-sanitize: setup ## The same under AddressSanitizer and UndefinedBehaviorSanitizer.
	$(CMAKE) -S csrc/native -B build/native-sanitize -DQCONV_SANITIZE=ON
	$(BIN)/cmake --build build/native-sanitize
	$(BIN)/ctest --test-dir build/native-sanitize -j 2 --output-on-failure

native-valgrind: setup ## The same under valgrind, which knows no AVX-512: it runs scalar and avx2.
	$(CMAKE) -S csrc/native -B build/native-valgrind -DQCONV_VALGRIND=ON
	$(BIN)/cmake --build build/native-valgrind
	$(BIN)/ctest --test-dir build/native-valgrind -j 2 --output-on-failure

stress: build ## Let threads share objects on every engine, and switch drop-in mode under them.
	QCONV_STRESS_SECONDS=30 $(BIN)/python -m pytest test/test_thread_stress.py test/test_drop_in_threads.py

matrix: build ## Write docs/feature_matrix.md: what runs where, PyTorch's ops beside ours (minutes).
	$(BIN)/python test/matrix_page.py

lint: setup-dev ## Check style and types. (C++ warnings are errors in every build.)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: setup-dev ## Format Python and C++, and apply ruff's safe fixes.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

bench: build ## Time networks' layers beside PyTorch's; BENCH_ARGS="--help" lists the options.
	$(BIN)/python benchmarks/layers.py $(BENCH_ARGS)

bench-models: build ## Time whole quantized networks of PyTorch's with drop-in mode off and on.
	$(BIN)/python benchmarks/models.py $(BENCH_ARGS)

bench-peers: setup ## Install OpenVINO and ONNX Runtime, which bench then times too.
	$(BIN)/python -m pip install -r requirements-peers.txt

charts: setup-dev ## Draw docs/images/*.svg of files that bench wrote: make charts FIGURES="a.json".
	$(BIN)/python benchmarks/charts.py $(FIGURES)

performance: build setup-dev ## Measure all that docs/performance.md tells, and write it (an hour).
	$(BIN)/python benchmarks/performance.py measure build/performance/this_machine $(PERFORMANCE_ARGS)
	$(BIN)/python benchmarks/performance.py page build/performance/this_machine

docs: build setup-dev ## Build the HTML documentation in docs/_build/html; warnings are errors.
	$(BIN)/python -m sphinx -q -W -b html docs docs/_build/html
	@echo docs/_build/html/index.html

clean: ## Remove what was built; the virtual environment stays.
	rm -rf build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	rm -f torch_qconv_prepack/*.so torch_qconv_prepack/_build_info.py
	find torch_qconv_prepack test benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

# A file in $(VENV) stands for each finished step, so that it is repeated only when its inputs change.
$(VENV)/.requirements: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python must be >= 3.10, got $$($(PYTHON) -V 2>&1); name another: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) -m venv is missing; install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@command -v c++ >/dev/null || \
	  { echo "no C++ compiler; install one (Debian, Ubuntu: apt install g++)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.txt
	@touch $@

$(VENV)/.requirements-dev: $(VENV)/.requirements requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	@touch $@

$(VENV)/.editable: $(VENV)/.requirements setup.py pyproject.toml
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@
