/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report: its reader, and the script that writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/prove/report.h"
#include "p2v/prove/script.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"
#include "tests/prove/lib-report.h"

static void parse(const char *text, struct report *ret_report)
{
	assert_int_equal(report_parse(text, strlen(text), ret_report), REPORT_COMPLETE);
}

static void parse_lines(const char *lines, struct report *ret_report)
{
	CLEANUP_FREE char *text = make_report(lines);

	parse(text, ret_report);
}

static void test_healthy(void **state)
{
	CLEANUP_REPORT struct report report = {0};
	CLEANUP_STRV struct strv drivers = {0};
	CLEANUP_TEXT struct text chain = {0};
	const struct report_mount *root;

	(void)state;
	parse_lines(healthy_lines, &report);
	assert_string_equal(report.system.kernel, "6.1.0-35-amd64");
	assert_string_equal(report.system.host, "web01");
	assert_string_equal(report.system.state, "running");
	assert_int_equal(report.system.boot_s, 41);
	assert_true(report.system.has_prompt);
	root = report_find_mount(&report, "/");
	assert_string_equal(root->source, "/dev/mapper/vg-root");
	assert_string_equal(root->uuid, "a001");
	report_chain_drivers(&report, root->device, &drivers);
	assert_int_equal(drivers.count, 2);
	assert_string_equal(drivers.items[0], "virtio_blk");
	report_format_chain(&report, root->device, &chain);
	assert_string_equal(chain.data, "dm-0 (vg-root) on vda2 on vda");
	assert_int_equal(report_find_block(&report, "vda")->size_bytes, 1 << 20);
	assert_null(report_find_block(&report, "vda")->parent);
	assert_string_equal(report_find_block(&report, "vda2")->parent, "vda");
	assert_int_equal(report.nic_count, 1);
	assert_int_equal(report.nics[0].addresses.count, 1);
	assert_string_equal(report.nics[0].addresses.items[0], "192.0.2.10/24");
	assert_int_equal(report.missing_mounts.count, 0);
	assert_int_equal(report.failed_unit_count, 0);
}

/* Their controllers have folders in sysfs where other disks have "block". */
static void test_disks_below_controllers(void **state)
{
	static const char lines[] =
		"begin|1\n"
		"block|nvme0n1|259:0|2048|/sys/devices/pci0/0000:00:02.0/nvme/nvme0/nvme0n1|nvme||\n"
		"block|nvme0n1p1|259:1|99|/sys/devices/pci0/0000:00:02.0/nvme/nvme0/nvme0n1/"
		"nvme0n1p1|nvme||\n"
		"block|nvme1n1|259:2|2048|/sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1|||\n";
	CLEANUP_REPORT struct report report = {0};

	(void)state;
	parse_lines(lines, &report);
	assert_null(report_find_block(&report, "nvme0n1")->parent);
	assert_string_equal(report_find_block(&report, "nvme0n1p1")->parent, "nvme0n1");
	assert_null(report_find_block(&report, "nvme1n1")->parent);
}

static void test_framing(void **state)
{
	static const struct {
		const char *text;
		enum report_status status;
		const char *kernel;
	} cases[] = {
		{"", REPORT_NONE, NULL},
		{"Debian GNU/Linux 12\nlogin: ", REPORT_NONE, NULL},
		{"P2V\tbegin\t1\nP2V\tkernel\tx\n", REPORT_PARTIAL, NULL},
		{"P2V\tbegin\t1\nP2V\tkernel\tx\nP2V\tend\t3\n", REPORT_PARTIAL, NULL},
		{"P2V\tbegin\t1\nP2V\tkernel\tx\nP2V\tend\t\n", REPORT_PARTIAL, NULL},
		{"P2V\tbegin\t1\nP2V\tkernel\tx\nP2V\tend\t-2\n", REPORT_PARTIAL, NULL},
		{"P2V\tbegin\t1\nP2V\tkernel\tx\nP2V\tend\t2", REPORT_COMPLETE, "x"},
		/* A console's other lines, and a terminal's line ends. */
		{"login: P2V\tbegin\t1\r\n[ 9.1] audit\r\nP2V\tkernel\tx\r\r\nP2V\tend\t2\r\n",
		 REPORT_COMPLETE, "x"},
		{"P2V\tend\t0\nP2V\tkernel\ty\nP2V\tend\t1\n", REPORT_NONE, NULL},
		/* The last whole one counts: an attempt may have been cut by a reboot. */
		{"P2V\tbegin\t1\nP2V\tbegin\t1\nP2V\tkernel\tx\nP2V\tend\t2\nP2V\tbegin\t1\nP2V\tkernel\ty\n"
		 "P2V\tend\t2\nP2V\tbegin\t1\n",
		 REPORT_COMPLETE, "y"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_REPORT struct report report = {0};

		assert_int_equal(report_parse(cases[i].text, strlen(cases[i].text), &report),
				 cases[i].status);
		if (cases[i].kernel)
			assert_string_equal(report.system.kernel, cases[i].kernel);
		else
			assert_null(report.system.kernel);
	}
}

static void test_root_without_node(void **state)
{
	CLEANUP_REPORT struct report btrfs = {0};
	CLEANUP_REPORT struct report old = {0};

	(void)state;
	/* btrfs has numbers of its own; an old kernel's /dev/root has no node. */
	parse_lines("begin|1\nmount|/|0:28|btrfs|/dev/vda2|/dev/vda2\nblock|vda2|254:2|8|/sys/x/block/vda/"
		    "vda2|||",
		    &btrfs);
	assert_string_equal(report_find_mount(&btrfs, "/")->device, "vda2");
	parse_lines(
		"begin|1\nmount|/|8:1|ext3|/dev/root|/dev/root\nblock|sda1|8:1|8|/sys/x/block/sda/sda1|||",
		&old);
	assert_string_equal(report_find_mount(&old, "/")->device, "sda1");
}

static void test_missing_mounts(void **state)
{
	CLEANUP_REPORT struct report report = {0};

	(void)state;
	parse_lines("begin|1\n"
		    "mount|/|8:1|ext4|/dev/sda1|/dev/sda1\n"
		    "fstab|/dev/sda1|/|ext4|defaults\n"
		    "fstab|/dev/sdb1|/srv|ext4|defaults\n"
		    "fstab|/dev/sdc1|/usb|ext4|defaults,nofail\n"
		    "fstab|//files/x|/x|cifs|rw\n"
		    "fstab|tank:/y|/y|fuse|_netdev\n"
		    "fstab|/dev/sda2|none|swap|sw\n",
		    &report);
	assert_int_equal(report.missing_mounts.count, 2);
	assert_string_equal(report.missing_mounts.items[0], "/srv");
	assert_string_equal(report.missing_mounts.items[1], "swap");
}

static void test_units(void **state)
{
	CLEANUP_REPORT struct report report = {0};

	(void)state;
	parse_lines("begin|1\nfailed|a.service|Result=exit-code\nfailed-log|a.service|no such device\n"
		    "failed-log|b.service|not listed\nfailed|c.mount|\njob|d.service|start|running\n",
		    &report);
	assert_int_equal(report.failed_unit_count, 2);
	assert_string_equal(report.failed_units[0].result, "exit-code");
	assert_string_equal(report.failed_units[0].log.items[0], "no such device");
	assert_string_equal(report.failed_units[1].result, "");
	assert_string_equal(report.jobs.items[0], "d.service start running");
}

/* What a damaged or hostile guest could send: no crash, no endless loop, nothing unprintable let through. */
static void test_hostile(void **state)
{
	static const char bytes[] = "P2V\tbegin\t1\nP2V\tkernel\ta\0b\x1b[31m\xff\xc3\xa9\nP2V\tend\t2\n";
	CLEANUP_REPORT struct report report = {0};
	CLEANUP_REPORT struct report loop = {0};
	CLEANUP_STRV struct strv drivers = {0};

	(void)state;
	assert_int_equal(report_parse(bytes, sizeof bytes - 1, &report), REPORT_COMPLETE);
	assert_string_equal(report.system.kernel, "ab?\xc3\xa9");
	parse_lines("begin|1\nmount|/\nmount\nnic\nblock\naddress|x\nfailed\nfailed-log\njob\nfstab\nuuid\n"
		    "unknown|1|2|3|4|5|6|7|8|9|10|11\n"
		    "uptime|99999999999999999999999\n"
		    "block|dm-0|1:1|18446744073709551615|/|x|dm-1 dm-0 none|\n"
		    "block|dm-1|1:2|1x|/block/dm-0/dm-1|y|dm-0|\n",
		    &loop);
	assert_int_equal(loop.system.boot_s, 0);
	assert_int_equal(report_find_block(&loop, "dm-0")->size_bytes, 0);
	report_chain_drivers(&loop, "dm-0", &drivers);
	assert_int_equal(drivers.count, 2);
}

/* Every prefix, and every single changed byte, of a whole report. */
static void test_damaged(void **state)
{
	CLEANUP_FREE char *text = make_report(healthy_lines);
	size_t bytes = strlen(text);

	(void)state;
	for (size_t i = 0; i < bytes; i++) {
		CLEANUP_REPORT struct report prefix = {0};
		CLEANUP_REPORT struct report changed = {0};
		CLEANUP_FREE char *exact = xmemdup(text, i + 1);
		char saved = text[i];

		if (i + 3 < bytes)
			assert_int_not_equal(report_parse(exact, i, &prefix), REPORT_COMPLETE);
		text[i] ^= 0x55;
		if (report_parse(text, bytes, &changed) == REPORT_COMPLETE)
			assert_true(changed.mount_count <= 2);
		text[i] = saved;
	}
}

/* The script on the machine that runs the tests: its own root, blocks and interfaces. */
static void test_script(void **state)
{
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_REPORT struct report report = {0};
	CLEANUP_FREE char *script = NULL;
	CLEANUP_FREE char *out = NULL;
	CLEANUP_FREE char *variable = NULL;
	CLEANUP_FCLOSE FILE *file = NULL;
	char host[256], text[1 << 17];
	size_t bytes;

	(void)state;
	must(scratch_create("/tmp", "p2v-test-report", &scratch));
	script = scratch_file(scratch, "report.sh");
	out = scratch_file(scratch, "out");
	variable = xasprintf("P2V_REPORT_TO=%s", out);
	file = fopen(script, "we");
	assert_int_equal(fwrite(prove_script, 1, strlen(prove_script), file), strlen(prove_script));
	fclose(take_ptr(file));
	must(run_argv((const char *const[]){"sh", script, "0", PROVE_PORT_ADDRESS, NULL},
		      &(struct run_options){.env = (const char *const[]){variable, NULL},
					    .time_limit_ns = 60000000000},
		      NULL));
	file = fopen(out, "re");
	assert_non_null(file);
	bytes = fread(text, 1, sizeof text, file);
	assert_int_equal(report_parse(text, bytes, &report), REPORT_COMPLETE);
	gethostname(host, sizeof host);
	assert_string_equal(report.system.host, host);
	assert_non_null(report_find_mount(&report, "/"));
	assert_non_null(report.system.kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),	       cmocka_unit_test(test_disks_below_controllers),
		cmocka_unit_test(test_framing),	       cmocka_unit_test(test_root_without_node),
		cmocka_unit_test(test_missing_mounts), cmocka_unit_test(test_units),
		cmocka_unit_test(test_hostile),	       cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
