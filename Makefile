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
includedir = $(PREFIX)/include/libvhdx
pkgconfigdir = $(PREFIX)/share/pkgconfig
mandir = $(PREFIX)/share/man
unitdir = $(PREFIX)/lib/systemd/system
completiondir = $(PREFIX)/share/bash-completion/completions
nbdkit_plugindir = $(shell pkg-config --variable=plugindir nbdkit)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

# Libraries that the program stands on, as pkg-config names them.
PKGS_BASE = jansson libnbd
PKGS_ALL = $(PKGS_BASE) libguestfs libarchive libxml-2.0 libzstd blkid libssl libcrypto yaml-0.1 libbpf

# BLAKE3: the system's library, or, on Debian 12, which has only its sources (in librust-blake3-dev), built
# into ours from there.
ifeq ($(shell pkg-config --exists libblake3 && echo yes),yes)
PKGS_BASE += libblake3
else
BLAKE3_DIR = $(lastword $(sort $(wildcard /usr/share/cargo/registry/blake3-*/c)))
BLAKE3_SRC = blake3.c blake3_dispatch.c blake3_portable.c \
	     $(if $(filter x86_64,$(shell uname -m)),$(foreach set,sse2 sse41 avx2 avx512,blake3_$(set)_x86-64_unix.S)) \
	     $(if $(filter aarch64,$(shell uname -m)),blake3_neon.c)
blake3_cflags = $(if $(BLAKE3_DIR),-isystem $(BLAKE3_DIR))
endif
pkg_cflags := $(shell pkg-config --cflags $(PKGS_ALL) cmocka nbdkit 2>/dev/null)
pkg_libs_base := $(shell pkg-config --libs $(PKGS_BASE) 2>/dev/null)
pkg_libs := $(shell pkg-config --libs $(PKGS_ALL) 2>/dev/null)
# What runs in the kernel is compiled by clang, whatever compiles the rest.
BPF_CC ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wno-sign-compare \
       -Wno-missing-field-initializers
ifeq ($(WERROR),1)
WARN += -Werror
endif
ifeq ($(SAN),1)
# In a folder of its own, also where O= is on make's command line, and once only in a make that we call.
override O := $(patsubst %/san,%,$(O))/san
SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
ifneq ($(V),1)
MAKEFLAGS += --silent
endif
override CFLAGS += -std=gnu17 $(WARN) $(SANFLAGS)
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DP2V_LIBDIR='"$(libdir)"' $(pkg_cflags) $(blake3_cflags)
override LDFLAGS += $(SANFLAGS) -Wl,--as-needed

# Sources, by folder.  Programs and the plugin have their main file named here; all else is a library.
PLUGIN_SRC = vhdx/nbdkit-plugin.c
SRC_BASE = $(wildcard p2v/base/*.c)
SRC_VHDX = $(filter-out $(PLUGIN_SRC),$(wildcard vhdx/*.c))
SRC_P2V = $(wildcard p2v/sync/*.c p2v/guest/*.c p2v/handover/*.c p2v/prove/*.c inject-drivers/*.c boot-fix/*.c iso/*.c)
SRC_BPF = $(wildcard capture/*.bpf.c)
SRC_CAPTURE = $(filter-out $(SRC_BPF),$(wildcard capture/*.c))
# The agent has a few of p2v's verbs, and stand-ins for what cannot be linked statically.
SRC_AGENT_ONLY = p2v/cmd/agent.c p2v/cmd/agent-left-out.c p2v/cmd/agent-live.c
SRC_AGENT = $(SRC_AGENT_ONLY) $(addprefix p2v/cmd/,program.c common.c scan.c scan-machine.c scan-tracking.c sync.c) \
	    $(wildcard p2v/cmd/send*.c p2v/cmd/announce*.c p2v/cmd/live-*.c p2v/cmd/cutover.c)
SRC_CMD = $(filter-out $(SRC_AGENT_ONLY),$(wildcard p2v/cmd/*.c))
SRC_TESTLIB = $(filter-out $(SRC_TEST),$(wildcard tests/lib/*.c tests/*/lib-*.c))
SRC_TEST = $(wildcard tests/*/test-*.c)
TREE_FILES := $(shell git ls-files 2>/dev/null)
SRC_FUZZ = $(wildcard tests/fuzz/fuzz-*.c)
SRC_BENCH = $(wildcard tests/bench/*.c)
# Programs that end-to-end scripts run beside ours.
SRC_TOOL = $(wildcard tests/*/tool-*.c)
SRC_ALL = $(SRC_BENCH) $(SRC_BASE) $(SRC_VHDX) $(PLUGIN_SRC) $(SRC_P2V) $(SRC_CAPTURE) $(SRC_CMD) \
	  $(SRC_AGENT_ONLY) $(SRC_TESTLIB) $(SRC_TEST) $(SRC_TOOL) $(SRC_FUZZ) tests/fuzz/main-files.c \
	  tests/fuzz/make-seeds.c tests/fuzz/plain-tls.c

objects = $(patsubst %.c,$(O)/%.o,$(1))

LIB_VHDX = $(O)/lib/libvhdx.a
LIB_P2V = $(O)/lib/libp2v.a
LIB_CAPTURE = $(O)/lib/libcapture.a
LIB_TEST = $(O)/lib/libtest.a
PLUGIN = $(O)/lib/nbdkit-vhdx-plugin.so
P2V = $(O)/bin/p2v
AGENT = $(O)/bin/p2v-agent
TESTS = $(patsubst %.c,$(O)/%,$(SRC_TEST))
TOOLS = $(patsubst %.c,$(O)/%,$(SRC_TOOL))
BENCHES = $(patsubst %.c,$(O)/%,$(SRC_BENCH))

.PHONY: all
all: $(P2V) $(LIB_VHDX) $(PLUGIN) $(if $(filter 1,$(SAN)),,$(AGENT))
.PHONY: agent
agent: $(AGENT)

# A change of flags rebuilds everything.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '*' > $(O)/.gitignore
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
.PHONY: FORCE
FORCE:

# The version changes with every commit: only p2v/cmd is rebuilt for it.
$(O)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(call objects,$(SRC_CMD) $(SRC_AGENT_ONLY)): $(O)/version
$(call objects,$(SRC_CMD) $(SRC_AGENT_ONLY)): CPPFLAGS += -DP2V_VERSION='"$(VERSION)"'

# Taken in by the assembler, which tells make nothing of it.
$(O)/iso/live-scripts.o: iso/live-dhcp.sh
$(O)/p2v/prove/script.o: p2v/prove/report.sh
$(O)/iso/build-assets.o: $(wildcard iso/image/*)

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

# The programs that run in the kernel, within headers that load them.
$(O)/capture/%.bpf.o: capture/%.bpf.c capture/track-mark.bpf.h capture/track-shared.h $(O)/flags
	@mkdir -p $(@D)
	@echo '  BPF   $<'
	$(BPF_CC) -target bpf -g -O2 -Wall -Wextra -Werror -Wno-sign-compare -I. -idirafter /usr/include/$(shell $(CC) -dumpmachine) -c -o $@ $<
$(O)/capture/%.skel.h: $(O)/capture/%.bpf.o
	$(BPFTOOL) gen object $(O)/capture/$*_bpf.o $<
	$(BPFTOOL) gen skeleton $(O)/capture/$*_bpf.o name $(subst -,_,$*)_bpf >$@.new
	mv $@.new $@
$(O)/capture/track.skel.h: $(O)/capture/track.bpf.o
$(O)/capture/track-points.skel.h: $(O)/capture/track-points.bpf.o
$(O)/capture/track-bpf.o: $(O)/capture/track.skel.h
$(O)/capture/track-points.o: $(O)/capture/track-points.skel.h
$(O)/capture/track-bpf.o $(O)/capture/track-points.o: CPPFLAGS += -isystem $(O)

# Not our code: neither our warnings nor the sanitizers.
BLAKE3_OBJ = $(addprefix $(O)/blake3/,$(addsuffix .o,$(basename $(BLAKE3_SRC))))
$(BLAKE3_OBJ): $(O)/blake3/%.o: $(O)/flags
	@mkdir -p $(@D)
	$(CC) -O2 -g -w -fPIC -fvisibility=hidden -c -o $@ $(wildcard $(addprefix $(BLAKE3_DIR)/$*.,c S))

$(LIB_VHDX): $(call objects,$(SRC_BASE) $(SRC_VHDX)) $(BLAKE3_OBJ)
$(LIB_P2V): $(call objects,$(SRC_P2V))
$(LIB_CAPTURE): $(call objects,$(SRC_CAPTURE))
$(LIB_TEST): $(call objects,$(SRC_TESTLIB))
$(LIB_VHDX) $(LIB_P2V) $(LIB_CAPTURE) $(LIB_TEST):
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) crs $@ $^

$(PLUGIN): $(call objects,$(PLUGIN_SRC)) $(LIB_VHDX)
	@echo '  LD    $@'
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs_base) -lpthread

$(P2V): $(call objects,$(SRC_CMD)) $(LIB_P2V) $(LIB_CAPTURE) $(LIB_VHDX)
	@mkdir -p $(@D)
	@echo '  LD    $@'
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs) -lpthread -lm

# The linker warns of what would load libraries in a static program: see agent.c for why nothing does.
AGENT_LDFLAGS = -static -s
pkg_libs_agent = $(shell pkg-config --static --libs libbpf libnewt libssl libcrypto libzstd blkid jansson 2>/dev/null)
$(AGENT): $(call objects,$(SRC_AGENT)) $(LIB_P2V) $(LIB_CAPTURE) $(LIB_VHDX)
	@mkdir -p $(@D)
	@echo '  LD    $@'
	$(CC) $(CFLAGS) $(AGENT_LDFLAGS) -o $@ $^ $(pkg_libs_agent) -lpthread -lm 2>$@.log || \
	  { cat $@.log >&2; rm -f $@.log; exit 1; }
	grep -v -e 'in statically linked applications' -e ': in function ' -e 'is dangerous, better use' $@.log >&2 || true
	rm -f $@.log

$(BENCHES): $(O)/%: $(O)/%.o $(LIB_CAPTURE) $(LIB_VHDX)
	@echo '  LD    $@'
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs)

# The one test that reads with libvhdi.
$(O)/tests/vhdx/test-vhdx-cross: private pkg_libs += -lvhdi
# The interface of the ISO, and the terminal that its tests look at.
$(filter $(O)/tests/iso/%,$(TESTS) $(TOOLS)): private pkg_libs += -lnewt -lslang -lvterm
$(TESTS) $(TOOLS): $(O)/%: $(O)/%.o $(LIB_TEST) $(LIB_P2V) $(LIB_CAPTURE) $(LIB_VHDX)
	@echo '  LD    $@'
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs) -lcmocka -lpthread -lm

-include $(patsubst %.c,$(O)/%.d,$(SRC_ALL))

# Fuzzing: each tests/fuzz/fuzz-NAME.c as a program for libFuzzer, $(O)/fuzz/NAME, with objects of its own;
# and, for any compiler, as a plain one that tries the files named, $(O)/tests/fuzz/fuzz-NAME.
FUZZ_CC ?= clang
FUZZ_TARGET ?= $(patsubst tests/fuzz/fuzz-%.c,%,$(SRC_FUZZ))
FUZZ_SECONDS ?= 10
FUZZ_SYNC = wire receiver sender
FUZZ_CFLAGS = -std=gnu17 $(WARN) -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	      -fno-sanitize-recover=undefined $(FUZZ_EXTRA)
fuzz_objects = $(patsubst %.c,$(O)/fuzz/%.o,$(1))
# What speaks TLS is fuzzed behind it.
SRC_FUZZ_SYNC = $(filter-out p2v/sync/tls%.c,$(wildcard p2v/sync/*.c)) tests/fuzz/plain-tls.c
SRC_FUZZ_CAPTURE = $(wildcard capture/usedmap*.c) $(addprefix capture/,btrfs-places.c btrfs-tree.c checksum.c lvm-area.c lvm-text.c view.c)
FUZZ_LIB = $(call fuzz_objects,$(SRC_BASE) $(SRC_VHDX) $(SRC_FUZZ_CAPTURE) $(SRC_FUZZ_SYNC) $(wildcard tests/fuzz/lib-*.c)) $(BLAKE3_OBJ)
FUZZ_PROGRAMS = $(patsubst tests/fuzz/fuzz-%.c,$(O)/fuzz/%,$(SRC_FUZZ))
FUZZ_PLAIN = $(patsubst %.c,$(O)/%,$(SRC_FUZZ)) $(O)/tests/fuzz/make-seeds

$(O)/fuzz/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@echo '  FUZZ  $<'
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# AFL++ has a mutator of its own; libFuzzer's is not in its driver.  Ours is for images.
$(FUZZ_PROGRAMS): $(O)/fuzz/%: $(O)/fuzz/tests/fuzz/fuzz-%.o $(FUZZ_LIB) \
		  $(if $(findstring afl,$(FUZZ_CC)),,$(O)/fuzz/tests/fuzz/mutator.o)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $(if $(filter $(FUZZ_SYNC),$*),$(filter-out %/mutator.o,$^),$^) \
	  $(pkg_libs) -lpthread -lm

$(O)/fuzz/make-seeds: $(O)/fuzz/tests/fuzz/make-seeds.o $(FUZZ_LIB)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $^ $(pkg_libs) -lpthread -lm

$(patsubst %.c,$(O)/%,$(SRC_FUZZ)): $(O)/tests/fuzz/main-files.o
$(FUZZ_PLAIN): $(O)/%: $(O)/%.o $(O)/tests/fuzz/plain-tls.o $(LIB_TEST) $(LIB_P2V) $(LIB_CAPTURE) $(LIB_VHDX)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(pkg_libs) -lpthread -lm

-include $(patsubst %.o,%.d,$(FUZZ_LIB) $(call fuzz_objects,$(SRC_FUZZ)))

# Manual pages, from POD.
MAN_SRC = $(wildcard p2v/man/*.pod)
man_section = $(if $(filter %.json,$(1)),5,1)
MAN = $(foreach page,$(basename $(notdir $(MAN_SRC))),$(O)/man/$(page).$(call man_section,$(page)))
.PHONY: man
man: $(MAN)
$(O)/man/%.1 $(O)/man/%.5: p2v/man/%.pod
	@mkdir -p $(@D)
	pod2man --utf8 --section=$(call man_section,$*) --center='p2v' --release='$(VERSION)' $< $@

# What programs that link libvhdx.a include; the folders stay, so that the includes in them hold.
LIB_HEADERS = $(addprefix vhdx/,vhdx.h vhd.h image.h convert.h compare.h) \
	      $(addprefix p2v/base/,blk.h cleanup.h err.h extents.h guid.h le.h log.h progress.h)
$(O)/libvhdx.pc: $(O)/version Makefile
	@printf '%s\n' 'Name: libvhdx' 'Description: reads, writes, checks and repairs VHDX and VHD files' \
	  'Version: $(VERSION)' 'Requires: $(PKGS_BASE)' 'Cflags: -I$(includedir)' \
	  'Libs: -L$(libdir) -lvhdx -lpthread' > $@

# Installation.
.PHONY: install uninstall
install: all man $(O)/libvhdx.pc
	install -D -t $(DESTDIR)$(bindir) $(P2V) $(AGENT)
	install -D -t $(DESTDIR)$(libdir) $(PLUGIN)
	install -D -m 644 -t $(DESTDIR)$(libdir) $(LIB_VHDX)
	for header in $(LIB_HEADERS); do \
	  install -D -m 644 $$header $(DESTDIR)$(includedir)/$$header || exit 1; \
	done
	install -D -m 644 -t $(DESTDIR)$(pkgconfigdir) $(O)/libvhdx.pc
	install -d $(DESTDIR)$(nbdkit_plugindir)
	ln -sf $(libdir)/$(notdir $(PLUGIN)) $(DESTDIR)$(nbdkit_plugindir)/$(notdir $(PLUGIN))
	install -D -m 644 p2v/cmd/bash-completion $(DESTDIR)$(completiondir)/p2v
	ln -sf p2v $(DESTDIR)$(completiondir)/p2v-agent
	install -d $(DESTDIR)$(unitdir)
	sed 's,@bindir@,$(bindir),' p2v/cmd/p2v-receive.service >$(DESTDIR)$(unitdir)/p2v-receive.service
	install -D -m 644 -t $(DESTDIR)$(mandir)/man1 $(filter %.1,$(MAN))
	install -D -m 644 -t $(DESTDIR)$(mandir)/man5 $(filter %.5,$(MAN))

uninstall:
	rm -f $(DESTDIR)$(unitdir)/p2v-receive.service $(DESTDIR)$(bindir)/p2v $(DESTDIR)$(bindir)/p2v-agent \
	      $(DESTDIR)$(nbdkit_plugindir)/$(notdir $(PLUGIN)) \
	      $(DESTDIR)$(completiondir)/p2v $(DESTDIR)$(completiondir)/p2v-agent $(DESTDIR)$(pkgconfigdir)/libvhdx.pc \
	      $(addprefix $(DESTDIR)$(mandir)/man1/,$(notdir $(filter %.1,$(MAN)))) \
	      $(addprefix $(DESTDIR)$(mandir)/man5/,$(notdir $(filter %.5,$(MAN))))
	rm -rf $(DESTDIR)$(libdir) $(DESTDIR)$(includedir)

# Packages of Debian 12, by use; BLAKE3's from 13 on is a library.
DEP_BLAKE3 = $(if $(shell grep -s 'VERSION_ID="12"' /etc/os-release),librust-blake3-dev,libblake3-dev)
DEPS_BUILD = gcc make pkg-config perl libguestfs-dev libxml2-dev libzstd-dev libarchive-dev libblkid-dev \
	     libjansson-dev libbpf-dev libelf-dev zlib1g-dev bpftool clang libnbd-dev libnewt-dev libslang2-dev libssl-dev libyaml-dev $(DEP_BLAKE3) nbdkit nbdkit-plugin-dev libcmocka-dev
DEPS_RUN = nbdkit qemu-utils qemu-system-x86 ovmf kmod gzip xz-utils zstd lz4 bzip2 linux-image-amd64 \
	   e2fsprogs xfsprogs lvm2 mmdebstrap xorriso dosfstools mtools
DEPS_TEST = libguestfs-xfs libnbd-bin libvhdi-dev libvhdi-utils libguestfs-tools libxml2-utils libvirt-clients \
	    libclang-rt-14-dev clang-format cppcheck shellcheck cpio initramfs-tools-core \
	    postgresql mariadb-server-core mariadb-client-core \
	    cryptsetup-bin btrfs-progs busybox iproute2 libvterm-dev ntfs-3g jq parted fdisk git ca-certificates
DEPS = $(sort $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST))

.PHONY: deps deps-list
deps:
	@tests/lib/install-packages $(DEPS)
deps-list:
	@printf '%s\n' $(DEPS)

# Checks.

PROVE_ENV = P2V_BUILD=$(abspath $(O)) P2V_VERSION=$(VERSION)
slow_tests = $(foreach test,$(TESTS),$(if $(filter test-slow-%,$(notdir $(test))),$(test)))
fast_tests = $(filter-out $(slow_tests),$(TESTS))
# test-slow-* and tests/e2e/*.sh need QEMU or minutes; the long ones many of them.
fast_scripts = $(wildcard tests/e2e/fast-*.sh)
all_scripts = $(wildcard tests/e2e/*.sh)
long_scripts = $(wildcard tests/e2e/long-*.sh) tests/e2e/convert-formats.sh tests/e2e/samples-boot.sh \
	       tests/e2e/iso-build.sh
check_scripts = $(filter-out $(long_scripts) $(fast_scripts),$(all_scripts))

# One test: `make test-vhdx-header` builds and runs tests/*/test-vhdx-header.c.
define one_test
.PHONY: $(notdir $(1))
$(notdir $(1)): $(1) $(if $(wildcard $(PLUGIN_SRC)),$(PLUGIN))
	$$(PROVE_ENV) $(1)
endef
$(foreach test,$(TESTS),$(eval $(call one_test,$(test))))

.PHONY: check
check: deps
	@P2V_POWER_CUTS=$${P2V_POWER_CUTS:-4000} P2V_CROSS_SEEDS=$${P2V_CROSS_SEEDS:-20} P2V_DAMAGES=$${P2V_DAMAGES:-1000} \
	  $(MAKE) --no-print-directory $(slow_tests) tools check-fast check-format check-layers check-size lint
	@P2V_TRACK_SUITES=$${P2V_TRACK_SUITES:-bullseye} P2V_TRACK_ROUNDS=$${P2V_TRACK_ROUNDS:-1} $(PROVE_ENV) tests/lib/run-tests $(O) $(slow_tests) $(check_scripts)
	@$(MAKE) --no-print-directory fuzz

.PHONY: check-fast
check-fast: all $(fast_tests) $(FUZZ_PLAIN)
	@$(PROVE_ENV) tests/lib/run-tests $(O) $(fast_tests) $(if $(filter 1,$(SAN)),,$(fast_scripts))

.PHONY: tools
tools: $(TOOLS)

.PHONY: check-all
check-all: check
	@$(PROVE_ENV) P2V_POWER_CUTS=20000 tests/lib/run-tests $(O) $(O)/tests/vhdx/test-vhdx-power-cut
	@$(PROVE_ENV) P2V_CROSS_SEEDS=500 P2V_DAMAGES=20000 tests/lib/run-tests $(O) \
	  $(O)/tests/vhdx/test-vhdx-cross $(O)/tests/vhdx/test-vhdx-chance
	@$(PROVE_ENV) P2V_SYNC_STREAMS=10000 P2V_SYNC_CUTS=200 tests/lib/run-tests $(O) \
	  $(O)/tests/sync/test-sync-hostile $(O)/tests/sync/test-sync-interrupted
	@$(PROVE_ENV) P2V_SYNC_KILLS=200 P2V_RECEIVED_SERVERS='a2 b' tests/lib/run-tests $(O) \
	  tests/e2e/sync-kills.sh tests/e2e/convert-received.sh
	@$(PROVE_ENV) P2V_TRACK_ROUNDS=25 tests/lib/run-tests $(O) $(O)/tests/capture/test-slow-track-live
	@$(PROVE_ENV) P2V_LIVE_LOAD=fio P2V_LIVE_FAULTS=300 tests/lib/run-tests $(O) tests/e2e/send-live-faults.sh
	@$(PROVE_ENV) P2V_TRACK_SUITES='bookworm trixie' tests/lib/run-tests $(O) tests/e2e/track-guests.sh
	@$(PROVE_ENV) P2V_LIVE_TIERS='bpf,no-mmap tracepoints tracepoints,no-mmap' tests/lib/run-tests $(O) tests/e2e/live-guests.sh
	@$(PROVE_ENV) tests/lib/run-tests $(O) $(long_scripts)

.PHONY: check-format
check-format:
	@clang-format --dry-run --Werror $(filter %.c %.h,$(TREE_FILES))

.PHONY: check-layers
check-layers:
	@tests/lib/check-layers

.PHONY: check-size
check-size:
	@tests/lib/check-size $(filter %.c %.h,$(TREE_FILES))

.PHONY: fuzz fuzz-afl fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS) $(O)/fuzz/make-seeds
fuzz: fuzz-programs
	@tests/fuzz/run $(O) $(FUZZ_SECONDS) $(FUZZ_TARGET)
fuzz-afl:
	@$(MAKE) --no-print-directory O=$(O)/afl FUZZ_CC=afl-clang-fast fuzz-programs
	@tests/fuzz/run-afl $(O)/afl $(FUZZ_SECONDS) $(FUZZ_TARGET)

.PHONY: lint
lint:
	@tests/lib/lint

.PHONY: bench bench-convert bench-cutover bench-frozen bench-live bench-sync bench-track bench-vhdx
bench: bench-convert bench-vhdx bench-sync bench-live bench-track bench-frozen bench-cutover
bench-convert: all
	@$(PROVE_ENV) tests/bench/run-convert
bench-cutover: all
	@$(PROVE_ENV) tests/bench/run-cutover
bench-vhdx: all $(BENCHES)
	@$(PROVE_ENV) tests/bench/run-vhdx
bench-sync: all
	@$(PROVE_ENV) tests/bench/run-sync
bench-frozen: all
	@$(PROVE_ENV) tests/bench/run-frozen
bench-live: all
	@$(PROVE_ENV) tests/bench/run-live
bench-track: all $(BENCHES)
	@$(PROVE_ENV) tests/bench/run-track

.PHONY: iso
iso: deps
	@$(MAKE) --no-print-directory all
	rm -f $(O)/p2v.iso
	$(P2V) iso build --out $(O)/p2v.iso

.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory all
	@$(PROVE_ENV) tests/lib/demo

.PHONY: clean
clean:
	rm -rf $(O)

.PHONY: help
help:
	@printf '%s\n' \
	  'make               build $(O)/bin/p2v, libvhdx.a and the nbdkit plugin' \
	  'make agent         build $(O)/bin/p2v-agent, one static file for the server' \
	  'make iso           as root: packages, build, and the boot medium $(O)/p2v.iso' \
	  'make demo          as root: packages, build, convert a sample server, prove that it boots' \
	  'make check         as root: packages, build, lints, all tests but the long ones (40 minutes)' \
	  'make check-fast    unit tests and lints (3 minutes)' \
	  'make check-all     the long tests too' \
	  'make test-NAME     one test program, tests/*/test-NAME.c' \
	  'make fuzz          FUZZ_TARGET="open read ..." each for FUZZ_SECONDS; fuzz-afl: with AFL++' \
	  'make bench         comparison with the named peers: bench-convert, bench-vhdx, bench-sync, bench-track,' \
  '                   bench-live, bench-frozen, bench-cutover' \
	  'make check-format check-layers check-size lint' \
	  'make man install uninstall clean' \
	  'make deps          as root: install the Debian packages; deps-list names them' \
	  'knobs: O=build CC=gcc CFLAGS="-O2 -g" WERROR=0 PREFIX=/usr DESTDIR=' \
  '       SAN=1 (with sanitizers, in O/san: both kinds of build stand side by side)'
