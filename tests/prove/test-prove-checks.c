/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reports held against machine.json: what passes, what does not, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/prove/checks.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"
#include "tests/prove/lib-report.h"

static void test_same_address(void **state)
{
	static const struct {
		const char *a, *b;
		bool is_same;
	} cases[] = {
		{"192.0.2.7/24", "192.0.2.7/24", true},
		{"192.0.2.7/24", "192.0.2.7", true},
		{"192.0.2.7/24", "192.0.2.7/25", false},
		{"192.0.2.7/24", "192.0.2.8/24", false},
		{"2001:db8:0:0::7/64", "2001:DB8::7/64", true},
		{"2001:db8::7/64", "192.0.2.7/64", false},
		{"192.0.2.7/", "192.0.2.7", false},
		{"192.0.2.7/2x", "192.0.2.7", false},
		{"dhcp", "dhcp", false},
		{"", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(checks_same_address(cases[i].a, cases[i].b), cases[i].is_same);
}

/* A healthy report with one text in it replaced, against the machine that it should be. */
static void check_report(const char *from, const char *to, const struct strv *ignored,
			 struct proof *ret_proof)
{
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_HARDWARE struct hardware hardware = {0};
	CLEANUP_TEXT struct text lines = {0};
	CLEANUP_FREE char *report = NULL;
	CLEANUP_VM struct vm vm = {0};
	const char *at = from ? strstr(healthy_lines, from) : NULL;

	make_machine("web01", FIRMWARE_BIOS, &machine);
	machine.disks->size_bytes = 1 << 20;
	machine.os.hostname = xstrdup("web01.example.org");
	must(vm_derive(&machine, TARGET_KVM, NULL, &vm));
	must(hardware_choose(&vm, NULL, &hardware));
	if (from) {
		assert_non_null(at);
		text_add(&lines, healthy_lines, at - healthy_lines);
		text_addf(&lines, "%s%s", to, at + strlen(from));
	} else {
		text_addf(&lines, "%s", healthy_lines);
	}
	report = make_report(lines.data);
	*ret_proof =
		(struct proof){.hardware = "kvm", .firmware = FIRMWARE_BIOS, .accelerator = xstrdup("tcg")};
	assert_int_equal(report_parse(report, strlen(report), &ret_proof->report), REPORT_COMPLETE);
	checks_run(&machine, &vm, &hardware, ignored, ret_proof);
	ret_proof->ok = 1;
	for (size_t i = 0; i < ret_proof->check_count; i++)
		ret_proof->ok &= ret_proof->checks[i].ok;
}

static const struct {
	const char *from, *to; /* in healthy_lines */
	const char *failed; /* the one check that fails, NULL: all pass */
	const char *detail;
} cases[] = {
	{NULL, NULL, NULL, NULL},
	{"state|running", "state|degraded", NULL, NULL},
	{"state|running", "state|maintenance", "boot", "systemd is maintenance"},
	{"state|running", "state|starting\njob|nfs.mount|start|running", "boot", "it waits for nfs.mount"},
	/* The root file system somewhere else: only the mapper device's own disk counts. */
	{"|vda2|vg-root", "||vg-root", "root", "no driver is named; expected virtio_blk"},
	{"254:3|ext4|/dev/mapper/vg-root|/dev/dm-0", "0:5|tmpfs|tmpfs|", "root", "tmpfs on tmpfs, no driver"},
	{"block|vda|254:0|2048", "block|vda|254:0|4096", "disks", "0 of 1"},
	{"fstab|UUID=b001|/boot", "fstab|UUID=b002|/srv", "mounts", "/srv"},
	{"swap|/dev/dm-1|partition\n", "", "mounts", "swap"},
	{"nic|enp0s2|52:54:00:12:34:56", "nic|enp0s2|52:54:00:00:00:01", "nic enp0s2",
	 "no network card 52:54:00:12:34:56"},
	{"nic|enp0s2|52:54:00:12:34:56", "nic|enp0s2|52:54:00:12:34:56", NULL, NULL},
	{"|up|virtio_net virtio-pci|", "|up|e1000e|", "nic enp0s2", "expected virtio_net"},
	{"address|enp0s2|inet|192.0.2.10/24", "address|enp0s2|inet|192.0.2.10/16", "nic enp0s2",
	 "192.0.2.10/24 is missing"},
	/* A bridge took the address over: as it was. */
	{"address|enp0s2|inet|192.0.2.10/24",
	 "nic|br0|52:54:00:12:34:56|up||\naddress|br0|inet|192.0.2.10/24", NULL, NULL},
	{"host|web01", "host|debian", "hostname", "debian, expected web01.example.org"},
	{"prompt|yes", "failed|a.service|Result=exit-code\nfailed-log|a.service|no such device", "units",
	 "a.service: no such device"},
	{"prompt|yes",
	 "failed|a.service|Result=timeout\nfailed-log|a.service|Failed to start a\n"
	 "failed-log|a.service|a.service: Consumed 1s CPU time.",
	 "units", "a.service: timeout"},
	{"prompt|yes", "failed|old.service|Result=exit-code", NULL, NULL}, /* ignored below */
};

static void test_checks(void **state)
{
	CLEANUP_STRV struct strv ignored = {0};

	(void)state;
	strv_add(&ignored, "old.service");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_PROOF struct proof proof = {0};

		check_report(cases[i].from, cases[i].to, &ignored, &proof);
		for (size_t k = 0; k < proof.check_count; k++) {
			const struct proof_check *check = &proof.checks[k];
			bool fails = cases[i].failed && !strcmp(check->name, cases[i].failed);

			if (check->ok == fails)
				fail_msg("case %zu: %s: %s", i, check->name, check->detail);
			if (fails && !strstr(check->detail, cases[i].detail))
				fail_msg("case %zu: '%s' lacks '%s'", i, check->detail, cases[i].detail);
		}
		assert_int_equal(proof.ok, !cases[i].failed);
		if (cases[i].failed)
			must_fail_as(proof_verdict(&proof), ERR_FAILED, cases[i].detail);
		else
			must(proof_verdict(&proof));
	}
}

static void test_moved_name(void **state)
{
	CLEANUP_PROOF struct proof proof = {0};
	struct err *err;

	(void)state;
	check_report("nic|enp0s2|", "nic|ens3|", NULL, &proof);
	err = proof_verdict(&proof);
	assert_non_null(err);
	assert_non_null(strstr(err_message(err), "ens3"));
	assert_non_null(strstr(err_message(err), "but its name was enp0s2"));
	assert_non_null(err_advice(err));
	err_free(err);
}

static void test_words_and_json(void **state)
{
	CLEANUP_PROOF struct proof proof = {0};
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_JSON json_t *json = NULL;
	const json_t *system;

	(void)state;
	check_report(NULL, NULL, NULL, &proof);
	proof_format(&proof, &text);
	assert_true(str_starts_with(text.data, "boots on kvm hardware (bios, tcg)"));
	json = proof_to_json(&proof);
	assert_true(json_is_true(json_object_get(json, "ok")));
	assert_true(json_is_null(json_object_get(json, "failure")));
	system = json_object_get(json, "system");
	assert_string_equal(json_string_or(json_object_get(system, "root"), "chain", ""),
			    "dm-0 (vg-root) on vda2 on vda");
	assert_string_equal(json_string_or(json_array_get(json_object_get(system, "nics"), 0), "mac", ""),
			    "52:54:00:12:34:56");
}

static void test_failure(void **state)
{
	CLEANUP_PROOF struct proof proof = {.hardware = "kvm", .failure = xstrdup("the kernel panicked")};
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_JSON json_t *json = NULL;

	(void)state;
	proof.accelerator = xstrdup("tcg");
	strv_add(&proof.console_tail, "VFS: Cannot open root device");
	proof_format(&proof, &text);
	assert_non_null(strstr(text.data, "FAILED  the kernel panicked"));
	assert_non_null(strstr(text.data, "| VFS: Cannot open root device"));
	json = proof_to_json(&proof);
	assert_true(json_is_null(json_object_get(json, "system")));
	must_fail_as(proof_verdict(&proof), ERR_FAILED,
		     "the kernel panicked; the console ends with: VFS: Cannot open root device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_address), cmocka_unit_test(test_checks),
		cmocka_unit_test(test_moved_name),   cmocka_unit_test(test_words_and_json),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
