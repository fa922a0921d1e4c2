# SPDX-License-Identifier: GPL-2.0-or-later
# The commands of a day. Meson does the building; see docs/testing.md for what `check` runs.
.PHONY: all deps build guest run check check-kvm-boot check-jit-random check-lockstep check-hostile bench bench-table install clean
.NOTPARALLEL:

STEP = @scripts/step

all: build

# Installs missing packages: with apt-get, as root or through sudo; nothing when all are there.
deps:
	$(STEP) "Installing packages (scripts/apt-packages.txt)" scripts/install-deps

build/build.ninja: | deps
	$(STEP) "Configuring" ./configure

build: deps build/build.ninja
	$(STEP) "Building" ninja -C build

guest: deps
	$(STEP) "Making the demo guest" scripts/make-guest

# A Linux virtual machine in this terminal. Input may be piped.
run: build guest
	@scripts/run-demo

check: deps
	@scripts/check

# Debian's kernel under KVM: apart from check, since it takes long where KVM itself is emulated.
check-kvm-boot: build guest
	@scripts/check-kvm-boot

# The translator for two hours against the host CPU and the interpreter; SEED and FIRST go on with
# an earlier run.
check-jit-random: build
	build/tests/insn/jit-random --seconds 7200 $(if $(SEED),--seed $(SEED)) \
	    $(if $(FIRST),--first $(FIRST))

# The demo guest boots with every block run translated and interpreted, and compared.
check-lockstep: build guest
	@python3 tests/functional/test_lockstep.py

# Hostile guests for SECONDS, an hour by default; SEED repeats those of an earlier run.
check-hostile: build
	@IMAGE_DIR=build/tests/guest python3 tests/functional/test_hostile.py \
	    --seconds $(or $(SECONDS),3600) $(if $(SEED),--seed $(SEED))

bench: build guest
	@bench/boot

# The speed table: native, QEMU and Tessera by turns, about five minutes.
bench-table: build guest
	@bench/table

install: build
	meson install -C build

# Downloads stay in .cache/, for the next build.
clean:
	rm -rf build build-clang
