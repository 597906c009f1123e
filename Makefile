# make demo: the whole job on real data. make test: every test. Both install what is missing, the second time in seconds.
.PHONY: gallery demo test install reference cpp-test python-test instructions asan tsan test-aarch64 test-armv7 bench bench-peers wheel wheels clean
path = PATH="$(CURDIR)/.venv/bin:$$PATH"

demo: install
	@.venv/bin/python examples/python/edge_pipeline.py

install:
	@tools/setup.sh
	@tools/install.sh

test:
	@tools/setup.sh judges
	@$(MAKE) --no-print-directory cpp-test
	@CXXFLAGS=-Werror tools/install.sh
	@$(MAKE) --no-print-directory python-test

cpp-test:
	@$(path) cmake --preset dev >/dev/null
	@$(path) cmake --build build/dev
	@$(path) ctest --preset dev -j 2

python-test:
	@.venv/bin/python -m pytest

# Instructions of whole inferences beside those kept in benchmarks/instructions.json, after make test
instructions:
	@.venv/bin/python benchmarks/instructions.py build/dev/examples/cpp/run_model

# docs/reference, from the docstrings and headers
reference: install
	@.venv/bin/python tools/make_reference.py

# The C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer, or under ThreadSanitizer.
asan tsan:
	@tools/setup.sh judges
	@$(path) cmake --preset $@ >/dev/null
	@$(path) cmake --build build/$@
	@$(path) ctest --preset $@ -j 2

# The library and its tests for 64-bit ARM, run under emulation on a processor with dot products and one without; for 32-bit ARM.
test-aarch64 test-armv7: test-%:
	@tools/setup.sh $*
	@$(path) cmake --preset $* >/dev/null
	@$(path) cmake --build build/$*
	@$(path) ctest --preset $* -j 2

bench:
	@tools/setup.sh judges
	@$(path) cmake --preset release >/dev/null
	@$(path) cmake --build build/release --target kernel_bench
	@build/release/benchmarks/kernel_bench --benchmark_min_time=0.2

# Beside every peer of benchmarks/peers, in inference and training, on one thread and two: build/peers/*.json, *.png
bench-peers: install
	@tools/setup.sh judges
	@benchmarks/peers/setup.sh
	@for threads in 1 2; do \
	  for precision in float32 int8 bf16; do .venv/bin/python benchmarks/peers/inference.py --precision $$precision --threads $$threads || exit 1; done; \
	  .venv/bin/python benchmarks/peers/training.py --threads $$threads || exit 1; done

# dist/miniten-*.whl
wheel:
	@tools/setup.sh
	@rm -f dist/miniten-*.whl
	@$(path) .venv/bin/python -m pip --disable-pip-version-check wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .

# dist/wheels: manylinux wheels for x86-64, 64-bit and 32-bit ARM, installed and tried, and the source package.
wheels:
	@tools/setup.sh wheels aarch64 armv7
	@tools/wheels.sh
	@tools/check_wheels.sh

# docs/viz/gallery.md and its pictures
gallery: install
	@.venv/bin/python examples/python/gallery.py

clean:
	rm -rf build dist .venv/miniten-installed
