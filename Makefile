# Two commands are the whole set-up:
#
#   make run      flashes a virtual board, starts a TLS Mosquitto, runs the board through its whole path
#   make test     unit, firmware, end-to-end and container tests
#
# Further commands, for development:
#
#   make lint     formatting, clippy, licences
#   make test-brokers  the seven brokers that can be certified; installs the missing ones
#   make bench    benchmark tables, with ratios; nothing passes or fails
#   make pictures the pictures of the documentation
#   make install  installs the optimised binary with cargo
#   make firmware the images alone
#   make clean    removes what was built
#
# Missing packages are installed from Debian, after their names are printed (tools/need.sh).
# `make run ARGS="--virtual 8"` passes arguments to `hilrig run`; `--kind lm3s6965` runs a
# Cortex-M3 behind a debug probe.

ARGS :=
CARGO := cargo
JOBS := $(shell nproc)
# Tests mostly wait for boards, so more of them run at once than there are cores.
TEST_THREADS := $(shell expr 3 \* $(JOBS))

.PHONY: run test test-brokers lint bench pictures install firmware firmware-arm faults need need-arm clean

# The last crates build one after the other: the firmware uses the cores that cargo leaves idle.
run: need $(if $(findstring lm3s6965,$(ARGS)),need-arm)
	@$(CARGO) build -p hilrig-cli & \
	nice $(MAKE) -C firmware -j$(JOBS) all $(if $(findstring lm3s6965,$(ARGS)),lm3s6965); \
	firmware=$$?; wait $$! && exit $$firmware
	$(CARGO) run --quiet -p hilrig-cli -- run $(ARGS)

# All targets at once: the binary alone would have other features of its dependencies than the tests
# have, and most of them would be built twice.
test: faults
	$(MAKE) -C firmware -j$(JOBS) test
	$(MAKE) -C firmware -j$(JOBS) brssl
	$(CARGO) build --workspace --all-targets
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$(TEST_THREADS)} $(CARGO) test --workspace

# Every broker that `hilrig certify` can start; missing ones are installed first.
test-brokers:
	tools/brokers.sh $(CARGO) test -p hilrig-broker --test descriptions

lint: need
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	tools/licences.sh

bench: faults
	$(CARGO) build --release -p hilrig-cli
	$(CARGO) run --release -p hilrig-bench

# Drawn from a recorded run and from the crates' dependencies; a test compares them.
pictures:
	$(CARGO) run --quiet -p hilrig-tests --example pictures

# The optimised binary, for a permanent bench.
install: firmware
	$(CARGO) install --path harness/cli

firmware: need
	$(MAKE) -C firmware -j$(JOBS)

firmware-arm: need-arm
	$(MAKE) -C firmware -j$(JOBS) lm3s6965

faults: firmware firmware-arm
	$(MAKE) -C firmware -j$(JOBS) faults
	$(MAKE) -C firmware -j$(JOBS) PORT=lm3s6965 faults

need:
	@tools/need.sh

# The second chip's compiler and QEMU are half a gigabyte: installed only where they are needed.
need-arm:
	@tools/need.sh arm

clean:
	$(MAKE) -C firmware clean
	$(CARGO) clean
