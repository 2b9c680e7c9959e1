# A thin front of CMake. `make test` and `make demo` set up everything they need, missing Debian
# packages included; every other target expects a machine that has been set up.

BUILD ?= build
BUILD_TYPE ?= RelWithDebInfo
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SEEDS ?= 20000
DURATION ?= 60

.DEFAULT_GOAL := build
.PHONY: setup build test demo bench install docs format lint sim soak fuzz clean

setup:
	@scripts/setup build test

$(BUILD)/build.ninja:
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) \
	  -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null

build: setup | $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja: | setup

test: build
	@scripts/test $(BUILD)

demo: build
	@$(BUILD)/bin/memshare run examples/arena/main.lua

# ARGS is passed through: make bench ARGS=--quick
bench: build
	@MEMSHARE_BUILD=$(BUILD) bench/run $(ARGS)

# DESTDIR moves the whole tree, PREFIX is where it will be used.
install: | $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS)
	@cmake --install $(BUILD) --prefix $(PREFIX)

# A reference of the Lua API, made from its annotations.
docs:
	@scripts/setup docs
	@scripts/reference $(BUILD)

format:
	@scripts/setup lint
	@scripts/check-format --fix

lint:
	@scripts/setup build lint
	@scripts/check-format
	@scripts/check-lua
	@scripts/check-c $(BUILD)

# Many seeds of the replica's simulator, each replayed exactly by its number.
sim: build
	@scripts/simulate $(BUILD) 1 $(SEEDS)

# Real processes that are killed and stalled at random for DURATION seconds, and the simulator beside
# them with seeds that are new each time.
soak: build
	@scripts/soak $(BUILD) $(DURATION)

# Every fuzz target for DURATION seconds.
fuzz:
	@scripts/setup build lint
	@scripts/fuzz $(DURATION)

clean:
	@rm -rf $(BUILD) build-*
