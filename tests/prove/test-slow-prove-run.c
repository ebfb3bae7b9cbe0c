/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real boots in QEMU that take a second: a boot sector plays the guest.  What a
 * proof makes of it, whichever way it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/prove/prove.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/handover/lib-machine.h"
#include "tests/prove/lib-bootable.h"
#include "tests/prove/lib-report.h"

#define NS_PER_S 1000000000ull
#define MAX_DISKS 40

/* A machine whose disks are all the same image, served once. */
struct bench {
	struct scratch *scratch;
	struct nbd_server *server;
	struct machine machine;
	struct vm vm;
	const char *sockets[MAX_DISKS + 1];
	struct prove_options options;
	char *screenshot;
};

static void bench_init(struct bench *bench, size_t disks, enum target target, enum firmware firmware,
		       const struct strv *drivers)
{
	struct vm_options vm_options = {.drivers = drivers};

	make_machine("web01", firmware, &bench->machine);
	bench->machine.disks->size_bytes = BOOTABLE_BYTES;
	while (bench->machine.disk_count < disks)
		machine_add_disk(&bench->machine)->size_bytes = BOOTABLE_BYTES;
	must(vm_derive(&bench->machine, target, &vm_options, &bench->vm));
	/* Commas must not end an option. */
	must(scratch_create("/tmp", "p2v-test-run,x", &bench->scratch));
	bench->screenshot = scratch_file(bench->scratch, "shot.png");
	bench->options = (struct prove_options){
		.vm = &bench->vm,
		.nbd_sockets = bench->sockets,
		.drivers = drivers,
		.scratch_dir = scratch_path(bench->scratch),
		.accelerator = "tcg",
		.time_limit_ns = 120 * NS_PER_S,
	};
}

static void bench_serve(struct bench *bench, const char *console, const char *report, enum bootable_end end)
{
	CLEANUP_FREE char *image = scratch_file(bench->scratch, "image");
	const char *uri;

	bootable_write(image, console, report, end);
	must(nbd_server_start(scratch_path(bench->scratch),
			      (const char *const[]){"--filter=cow", "file", image, NULL}, &bench->server));
	uri = nbd_server_uri(bench->server);
	for (size_t i = 0; i < bench->vm.disk_count; i++)
		bench->sockets[i] = strstr(uri, "socket=") + strlen("socket=");
}

static void bench_deinit(struct bench *bench)
{
	nbd_server_stop(bench->server);
	vm_deinit(&bench->vm);
	machine_deinit(&bench->machine);
	free(bench->screenshot);
	scratch_destroy(bench->scratch);
}
#define CLEANUP_BENCH CLEANUP(bench_deinit)

/* BIOS on virtio, one disk. */
static void run_simple(struct bench *bench, const char *console, const char *report, enum bootable_end end,
		       struct proof *ret_proof)
{
	bench_init(bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	bench_serve(bench, console, report, end);
	must(prove_run(&bench->options, &bench->machine, ret_proof));
}

static void test_healthy(void **state)
{
	CLEANUP_FREE char *report = make_report(healthy_lines);
	CLEANUP_FREE char *log = NULL;
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};
	CLEANUP_FCLOSE FILE *file = NULL;
	char magic[8];

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	bench_serve(&bench, "GRUB loading.\r\nweb01 login: ", report, BOOTABLE_HALT);
	log = scratch_file(bench.scratch, "console.log");
	bench.options.console_log = log;
	bench.options.screenshot = bench.screenshot;
	must(prove_run(&bench.options, &bench.machine, &proof));
	must(proof_verdict(&proof));
	assert_true(proof.ok);
	assert_null(proof.failure);
	assert_string_equal(proof.hardware, "kvm");
	assert_string_equal(proof.accelerator, "tcg");
	assert_string_equal(proof.report.system.kernel, "6.1.0-35-amd64");
	assert_string_equal(proof.console_tail.items[proof.console_tail.count - 1], "web01 login:");
	assert_true(proof.duration_ns > 0 && proof.duration_ns < 120 * NS_PER_S);
	assert_string_equal(proof.screenshot, bench.screenshot);
	file = fopen(bench.screenshot, "re");
	assert_non_null(file);
	assert_int_equal(fread(magic, 1, sizeof magic, file), sizeof magic);
	assert_memory_equal(magic, "\x89PNG\r\n\x1a\n", sizeof magic);
	assert_int_equal(access(log, R_OK), 0);
}

/* Where the system has its console on the report's port or the other way round, it still counts. */
static void test_report_on_console(void **state)
{
	CLEANUP_FREE char *report = make_report(healthy_lines);
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	run_simple(&bench, report, NULL, BOOTABLE_HALT, &proof);
	must(proof_verdict(&proof));
	assert_true(proof.ok);
}

static void test_panic(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	run_simple(&bench, "VFS: Cannot open root\r\nKernel panic - not syncing: VFS: Unable to mount\r\n",
		   NULL, BOOTABLE_HALT, &proof);
	assert_false(proof.ok);
	assert_string_equal(proof.failure,
			    "the kernel panicked: Kernel panic - not syncing: VFS: Unable to mount");
	must_fail_as(proof_verdict(&proof), ERR_FAILED, "Kernel panic - not syncing: VFS: Unable to mount");
}

/* A report that comes within the grace after the console's bad news wins: it tells more. */
static void test_emergency_with_report(void **state)
{
	CLEANUP_FREE char *report =
		make_report("begin|1\nstate|maintenance\nfailed|srv.mount|Result=exit-code\n");
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	run_simple(&bench, "You are in emergency mode.\r\n", report, BOOTABLE_HALT, &proof);
	assert_null(proof.failure);
	assert_false(proof.ok);
	must_fail_as(proof_verdict(&proof), ERR_FAILED, "srv.mount");
}

static void test_no_boot_sector(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};
	CLEANUP_FREE char *image = NULL;

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	bench_serve(&bench, NULL, NULL, BOOTABLE_HALT);
	image = scratch_file(bench.scratch, "image");
	/* Without the boot signature: the file is served as it is at each read. */
	assert_int_equal(truncate(image, 0), 0);
	assert_int_equal(truncate(image, BOOTABLE_BYTES), 0);
	must(prove_run(&bench.options, &bench.machine, &proof));
	assert_true(str_starts_with(proof.failure, "the BIOS found nothing to boot"));
}

static void test_uefi_nothing(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	bench_init(&bench, 1, TARGET_HYPERV, FIRMWARE_UEFI, NULL);
	bench_serve(&bench, "never run", NULL, BOOTABLE_HALT);
	must(prove_run(&bench.options, &bench.machine, &proof));
	assert_string_equal(proof.hardware, "hyperv-gen2");
	assert_true(str_starts_with(proof.failure, "the UEFI firmware found nothing to boot"));
}

static void test_power_off(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	run_simple(&bench, "bye\r\n", NULL, BOOTABLE_POWER_OFF, &proof);
	assert_string_equal(proof.failure, "it powered off before it reported");
	assert_non_null(strstr(proof.console_tail.items[proof.console_tail.count - 1], "bye"));
}

static void test_boot_loop(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	run_simple(&bench, "again\r\n", NULL, BOOTABLE_RESET, &proof);
	assert_string_equal(proof.failure, "it resets again and again");
}

static void test_time_limit(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	bench_serve(&bench, "starting\r\n", "P2V\tbegin\t1\n", BOOTABLE_HALT);
	bench.options.time_limit_ns = 5 * NS_PER_S;
	must(prove_run(&bench.options, &bench.machine, &proof));
	assert_string_equal(proof.failure, "no report within 5 s");
	assert_true(proof.duration_ns >= 5 * NS_PER_S && proof.duration_ns < 60 * NS_PER_S);
}

/* QEMU takes every kind of device that is asked of it, also many. */
static void test_devices(void **state)
{
	static const struct {
		enum target target;
		size_t disks;
		const char *drivers;
	} cases[] = {
		{TARGET_KVM, 30, "virtio_blk virtio_net"},
		{TARGET_KVM, 3, "virtio_scsi e1000"},
		{TARGET_KVM, 8, "ahci e1000e"},
		{TARGET_HYPERV, 3, "ata_piix e1000"},
		{TARGET_HYPERV, 3, "nvme virtio_net"},
		{TARGET_HYPERV, 6, "virtio_scsi e1000e"},
	};
	CLEANUP_FREE char *report = make_report("begin|1\nkernel|x\n");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_BENCH struct bench bench = {0};
		CLEANUP_PROOF struct proof proof = {0};
		CLEANUP_STRV struct strv drivers = {0};

		strv_split(&drivers, cases[i].drivers, " ");
		bench_init(&bench, cases[i].disks, cases[i].target, FIRMWARE_BIOS, &drivers);
		bench_serve(&bench, NULL, report, BOOTABLE_HALT);
		must(prove_run(&bench.options, &bench.machine, &proof));
		if (proof.failure)
			fail_msg("%s: %s", cases[i].drivers, proof.failure);
		assert_string_equal(proof.report.system.kernel, "x");
	}
}

static void test_not_served(void **state)
{
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_FREE char *path = NULL;
	struct proof proof;

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	must_fail_as(prove_run(&bench.options, &bench.machine, &proof), ERR_FAILED, "is not served");
	path = scratch_file(bench.scratch, "nobody");
	bench.sockets[0] = path;
	must_fail_as(prove_run(&bench.options, &bench.machine, &proof), ERR_FAILED, "QEMU does not start");
}

static void test_no_qemu(void **state)
{
	CLEANUP_FREE char *saved = xstrdup(getenv("PATH"));
	CLEANUP_BENCH struct bench bench = {0};
	struct proof proof;
	struct err *err;

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	setenv("PATH", "/nonexistent", 1);
	err = prove_run(&bench.options, &bench.machine, &proof);
	setenv("PATH", saved, 1);
	assert_non_null(err);
	assert_non_null(strstr(err_advice(err), "qemu-system-x86"));
	must_refuse(err, "QEMU for x86-64 is not installed");
}

/* In front of the real one on PATH: a QEMU that fails where it is to use KVM, which is said to work. */
static void break_kvm(struct bench *bench, const char *path)
{
	static const char script[] =
		"#!/bin/sh\n"
		"for word; do [ \"$word\" != kvm ] || { echo broken >&2; exit 1; }; done\n"
		"PATH=${PATH#*:} exec qemu-system-x86_64 \"$@\"\n";
	CLEANUP_FREE char *qemu = scratch_file(bench->scratch, "qemu-system-x86_64");
	CLEANUP_FREE char *cache = scratch_file(bench->scratch, "p2v");
	CLEANUP_FREE char *answer = xasprintf("%s/kvm", cache);
	CLEANUP_FREE char *new_path = xasprintf("%s:%s", scratch_path(bench->scratch), path);
	CLEANUP_FCLOSE FILE *boot_id = fopen("/proc/sys/kernel/random/boot_id", "re");
	char id[64];
	FILE *file = fopen(qemu, "we");

	assert_non_null(file);
	assert_int_equal(fputs(script, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(qemu, 0700), 0);
	assert_non_null(boot_id);
	assert_non_null(fgets(id, sizeof id, boot_id));
	assert_int_equal(mkdir(cache, 0700), 0);
	file = fopen(answer, "we");
	assert_non_null(file);
	assert_true(fprintf(file, "%sworks\n", id) > 0);
	assert_int_equal(fclose(file), 0);
	setenv("PATH", new_path, 1);
	setenv("XDG_CACHE_HOME", scratch_path(bench->scratch), 1);
}

/* The probe of KVM may have been too good: what it did not see is met by emulation. */
static void test_kvm_fails(void **state)
{
	CLEANUP_FREE char *saved = xstrdup(getenv("PATH"));
	CLEANUP_FREE char *report = make_report(healthy_lines);
	CLEANUP_BENCH struct bench bench = {0};
	CLEANUP_PROOF struct proof proof = {0};
	struct err *err;

	(void)state;
	bench_init(&bench, 1, TARGET_KVM, FIRMWARE_BIOS, NULL);
	bench_serve(&bench, NULL, report, BOOTABLE_HALT);
	bench.options.accelerator = NULL;
	break_kvm(&bench, saved);
	err = prove_run(&bench.options, &bench.machine, &proof);
	must(err);
	must(proof_verdict(&proof));
	assert_string_equal(proof.accelerator, "tcg");
	/* Who asks for KVM is told. */
	bench.options.accelerator = "kvm";
	err = prove_run(&bench.options, &bench.machine, &(struct proof){0});
	setenv("PATH", saved, 1);
	unsetenv("XDG_CACHE_HOME");
	must_fail_as(err, ERR_FAILED, "broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),	       cmocka_unit_test(test_report_on_console),
		cmocka_unit_test(test_panic),	       cmocka_unit_test(test_emergency_with_report),
		cmocka_unit_test(test_no_boot_sector), cmocka_unit_test(test_uefi_nothing),
		cmocka_unit_test(test_power_off),      cmocka_unit_test(test_boot_loop),
		cmocka_unit_test(test_time_limit),     cmocka_unit_test(test_devices),
		cmocka_unit_test(test_not_served),     cmocka_unit_test(test_no_qemu),
		cmocka_unit_test(test_kvm_fails),
	};

	if (!run_is_installed("qemu-system-x86_64") || !run_is_installed("nbdkit")) {
		print_message("QEMU or nbdkit is not installed: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
