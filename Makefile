# make demo: the whole pipeline on real data. make test: every test. Both install what is missing.
.PHONY: demo test install cpp-test python-test asan tsan bench wheel clean

demo: install
	.venv/bin/python examples/python/edge_pipeline.py

install:
	@tools/setup.sh
	@tools/install.sh

test:
	@tools/setup.sh judges
	@$(MAKE) --no-print-directory cpp-test
	@tools/install.sh
	@$(MAKE) --no-print-directory python-test

path = PATH="$(CURDIR)/.venv/bin:$$PATH"

cpp-test:
	@$(path) cmake --preset dev >/dev/null
	@$(path) cmake --build build/dev
	@$(path) ctest --preset dev

python-test:
	.venv/bin/python -m pytest

# C++ tests under AddressSanitizer with UndefinedBehaviorSanitizer, and under ThreadSanitizer.
asan tsan:
	@tools/setup.sh judges
	@$(path) cmake --preset $@ >/dev/null
	@$(path) cmake --build build/$@
	@$(path) ctest --preset $@ -E out_of_tree

bench:
	@tools/setup.sh judges
	@$(path) cmake --preset release >/dev/null
	@$(path) cmake --build build/release --target kernel_bench
	build/release/benchmarks/kernel_bench --benchmark_min_time=0.2

wheel:
	@tools/setup.sh
	$(path) .venv/bin/pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .

clean:
	rm -rf build dist
