# SPDX-License-Identifier: GPL-3.0-or-later
# p2v: turns a physical server into a virtual machine that boots.  `make help` lists the targets.

# Knobs.
O ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS ?= -O2 -g
SAN ?= 0
WERROR ?= 1
PREFIX ?= /usr
DESTDIR ?=

bindir = $(PREFIX)/bin
libdir = $(PREFIX)/lib/p2v
mandir = $(PREFIX)/share/man
completiondir = $(PREFIX)/share/bash-completion/completions
nbdkit_plugindir = $(shell pkg-config --variable=plugindir nbdkit)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

# Libraries that the program stands on, as pkg-config names them.
PKGS_BASE = jansson libnbd
PKGS_ALL = $(PKGS_BASE) libguestfs libarchive libxml-2.0 libzstd blkid libcrypto yaml-0.1
pkg_cflags := $(shell pkg-config --cflags $(PKGS_ALL) cmocka nbdkit 2>/dev/null)
pkg_libs_base := $(shell pkg-config --libs $(PKGS_BASE) 2>/dev/null)
pkg_libs := $(shell pkg-config --libs $(PKGS_ALL) 2>/dev/null)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wno-sign-compare \
       -Wno-missing-field-initializers
ifeq ($(WERROR),1)
WARN += -Werror
endif
ifeq ($(SAN),1)
O := $(O)/san
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
override CFLAGS += -std=gnu17 $(WARN) $(SANFLAGS)
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DP2V_VERSION='"$(VERSION)"' \
            -DP2V_LIBDIR='"$(libdir)"' $(pkg_cflags)
override LDFLAGS += $(SANFLAGS) -Wl,--as-needed

# Sources, by folder.  Programs and the plugin have their main file named here; all else is a library.
PLUGIN_SRC = vhdx/nbdkit-plugin.c
SRC_BASE = $(wildcard p2v/base/*.c)
SRC_VHDX = $(filter-out $(PLUGIN_SRC),$(wildcard vhdx/*.c))
SRC_P2V = $(wildcard p2v/guest/*.c p2v/handover/*.c p2v/prove/*.c inject-drivers/*.c boot-fix/*.c)
SRC_CMD = $(wildcard p2v/cmd/*.c)
SRC_TESTLIB = $(filter-out $(SRC_TEST),$(wildcard tests/lib/*.c tests/*/lib-*.c))
SRC_TEST = $(wildcard tests/*/test-*.c)
SRC_ALL = $(SRC_BASE) $(SRC_VHDX) $(PLUGIN_SRC) $(SRC_P2V) $(SRC_CMD) $(SRC_TESTLIB) $(SRC_TEST)

objects = $(patsubst %.c,$(O)/%.o,$(1))

LIB_VHDX = $(O)/lib/libvhdx.a
LIB_P2V = $(O)/lib/libp2v.a
LIB_TEST = $(O)/lib/libtest.a
PLUGIN = $(O)/lib/nbdkit-vhdx-plugin.so
P2V = $(O)/bin/p2v
TESTS = $(patsubst %.c,$(O)/%,$(SRC_TEST))

.PHONY: all
all: $(if $(wildcard p2v/cmd/main.c),$(P2V)) $(LIB_VHDX) $(if $(wildcard $(PLUGIN_SRC)),$(PLUGIN))

# A change of flags rebuilds everything.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '*' > $(O)/.gitignore
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
.PHONY: FORCE
FORCE:

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(LIB_VHDX): $(call objects,$(SRC_BASE) $(SRC_VHDX))
$(LIB_P2V): $(call objects,$(SRC_P2V))
$(LIB_TEST): $(call objects,$(SRC_TESTLIB))
$(LIB_VHDX) $(LIB_P2V) $(LIB_TEST):
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) crs $@ $^

$(PLUGIN): $(call objects,$(PLUGIN_SRC)) $(LIB_VHDX)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs_base) -lpthread

$(P2V): $(call objects,$(SRC_CMD)) $(LIB_P2V) $(LIB_VHDX)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs) -lpthread -lm

$(TESTS): $(O)/%: $(O)/%.o $(LIB_TEST) $(LIB_P2V) $(LIB_VHDX)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs) -lcmocka -lpthread -lm

-include $(patsubst %.c,$(O)/%.d,$(SRC_ALL))

# Checks.

PROVE_ENV = P2V_BUILD=$(abspath $(O)) P2V_VERSION=$(VERSION)
fast_tests = $(filter-out $(O)/tests/%/test-slow-%,$(TESTS))
slow_tests = $(filter $(O)/tests/%/test-slow-%,$(TESTS))
# test-slow-* and tests/e2e/*.sh need QEMU or minutes; tests/e2e/long-*.sh more of them.
fast_scripts = $(wildcard tests/e2e/fast-*.sh)
all_scripts = $(wildcard tests/e2e/*.sh)
check_scripts = $(filter-out tests/e2e/long-%,$(all_scripts))

# One test: `make test-vhdx-header` builds and runs tests/*/test-vhdx-header.c.
.PHONY: test-%
test-%: $(if $(wildcard $(PLUGIN_SRC)),$(PLUGIN))
	@$(MAKE) --no-print-directory $(patsubst %.c,$(O)/%,$(wildcard tests/*/$@.c))
	$(PROVE_ENV) $(patsubst %.c,$(O)/%,$(wildcard tests/*/$@.c))

.PHONY: check
check: deps
	@$(MAKE) --no-print-directory check-fast check-format check-layers check-size lint
	@$(PROVE_ENV) tests/lib/run-tests $(O) $(slow_tests) $(check_scripts)

.PHONY: check-fast
check-fast: all $(fast_tests)
	@$(PROVE_ENV) tests/lib/run-tests $(O) $(fast_tests) $(if $(filter 1,$(SAN)),,$(fast_scripts))

.PHONY: check-all
check-all: check
	@$(PROVE_ENV) tests/lib/run-tests $(O) $(filter tests/e2e/long-%,$(all_scripts))

.PHONY: check-format
check-format:
	@clang-format --dry-run --Werror $(filter %.c %.h,$(TREE_FILES))

.PHONY: check-layers
check-layers:
	@tests/lib/check-layers

.PHONY: check-size
check-size:
	@tests/lib/check-size $(filter %.c %.h,$(TREE_FILES))

.PHONY: lint
lint:
	@tests/lib/lint

.PHONY: bench
bench: all
	@$(PROVE_ENV) tests/bench/run

