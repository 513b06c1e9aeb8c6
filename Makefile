# The whole set-up is two commands:
#
#   make run      flashes a virtual board, starts a TLS Mosquitto, walks the board through its path
#   make test     unit, firmware, end-to-end and container tests
#
# and for those who change something:
#
#   make lint     formatting, clippy, licences
#   make test-brokers  the seven brokers that can be certified, installed where missing
#   make bench    tables of what the rig costs, with ratios; nothing passes or fails
#   make pictures the pictures of the documentation
#   make install  the optimised binary, where cargo installs
#   make firmware the images alone
#   make clean    removes what was built
#
# What is missing is installed from Debian's packages, and said before (tools/need.sh).
# `make run ARGS="--virtual 8"` hands arguments on to `hilrig run`; `--kind lm3s6965` runs a
# Cortex-M3 behind a debug probe.

ARGS :=
CARGO := cargo
# The firmware's make uses every core; several makes at once would do so each.
JOBS := $(shell nproc)

.PHONY: run test test-brokers lint bench pictures install firmware firmware-arm faults need need-arm clean

run: firmware $(if $(findstring lm3s6965,$(ARGS)),firmware-arm)
	$(CARGO) build -p hilrig-cli
	$(CARGO) run --quiet -p hilrig-cli -- run $(ARGS)

test: faults
	$(MAKE) -C firmware -j$(JOBS) test
	$(MAKE) -C firmware -j$(JOBS) brssl
	$(CARGO) build -p hilrig-cli
	$(CARGO) test --workspace

# Every broker that `hilrig certify` can start; what is missing is installed before, and said.
test-brokers:
	tools/brokers.sh $(CARGO) test -p hilrig-broker --test software

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

# The optimised binary, for a bench that is here to stay.
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

# The second chip's compiler and QEMU are half a gigabyte: only what uses them asks for them.
need-arm:
	@tools/need.sh arm

clean:
	$(MAKE) -C firmware clean
	$(CARGO) clean
