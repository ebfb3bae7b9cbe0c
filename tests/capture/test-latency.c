/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When reading is held back for a server's writers, and when no longer; which weights are touched. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/latency.h"
#include "capture/sysroot.h"
#include "capture/weight.h"
#include "p2v/base/mem.h"
#include "tests/capture/lib-recorded.h"

/* From one state, what some time's writes say. */
static void test_judgement(void **state)
{
	static const struct {
		const char *name;
		struct latency before;
		uint64_t writes, mean_us;
		unsigned level;
	} cases[] = {
		{"nothing is known yet", {0}, 100, 5000, 0},
		{"as ever", {10000, 0}, 100, 10000, 0},
		{"twice as long", {10000, 0}, 100, 20000, 0},
		{"more than that", {10000, 0}, 100, 22500, 1},
		{"still", {10000, 1}, 100, 22500, 2},
		{"still, and no end", {10000, 16}, 100, 500000, 16},
		{"a little better", {10000, 8}, 100, 18000, 8},
		{"well", {10000, 8}, 100, 15000, 4},
		{"well for long", {10000, 1}, 100, 15000, 0},
		{"quick disks: what nobody notices", {100, 0}, 100, 2000, 0},
		{"quick disks", {100, 0}, 100, 2500, 1},
		{"hardly anybody writes", {10000, 8}, 3, 900000, 4},
		{"nobody writes", {10000, 8}, 0, 0, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct latency latency = cases[i].before;

		print_message("%s\n", cases[i].name);
		latency_judge(&latency, cases[i].writes, cases[i].writes * cases[i].mean_us);
		assert_int_equal(latency.level, cases[i].level);
	}
}

static void test_base(void **state)
{
	struct latency latency = {0};

	(void)state;
	latency_learn(&latency, 999, 999 * 4000);
	assert_int_equal(latency.base_us, 0);
	latency_learn(&latency, 1000, 1000 * 4000);
	assert_in_range(latency.base_us, 4000, 4001);
	latency_judge(&latency, 10, 10 * 3000);
	assert_in_range(latency.base_us, 3900, 3950);
	for (int i = 0; i < 100; i++)
		latency_judge(&latency, 10, 10 * 3000);
	assert_in_range(latency.base_us, 3000, 3020);
	/* Where it stays slow although we hardly read any more it is not for us: soon nothing is held back.
	 */
	latency_judge(&latency, 10, 10 * 30000);
	assert_in_range(latency.base_us, 3001, 3500);
	assert_int_equal(latency.level, 1);
	for (int i = 0; i < 20; i++)
		latency_judge(&latency, 10, 10 * 30000);
	assert_int_equal(latency.level, 0);
}

/* A disk that takes 8 ms for a write: a few seconds in which its cache takes all there is do not make that
 * long. */
static void test_lull(void **state)
{
	struct latency latency = {8000, 0};

	(void)state;
	for (int i = 0; i < 10; i++)
		latency_judge(&latency, 10, 10 * 200);
	latency_judge(&latency, 100, 100 * 8000);
	assert_int_equal(latency.level, 0);
	/* With the same lull, what is long stays so. */
	latency_judge(&latency, 100, 100 * 18000);
	assert_int_equal(latency.level, 1);
}

static char *read_weight(const struct recorded_machine *machine, const char *name)
{
	return sysroot_read(machine->root, "/sys/fs/cgroup/p2v.scope/%s", name);
}

static void expect_weights(const struct recorded_machine *machine, const char *io, const char *cpu)
{
	CLEANUP_FREE char *found_io = read_weight(machine, "io.weight");
	CLEANUP_FREE char *found_cpu = read_weight(machine, "cpu.weight");

	assert_string_equal(found_io, io);
	assert_string_equal(found_cpu, cpu);
}

static void try_weights(const char *processes, const char *low_io, const char *low_cpu)
{
	struct recorded_machine *machine = recorded_create();
	struct weight *weight;

	record(machine, "/proc/self/cgroup", "1:name=systemd:/x\n0::/p2v.scope\n");
	record(machine, "/sys/fs/cgroup/p2v.scope/cgroup.procs", processes);
	record(machine, "/sys/fs/cgroup/p2v.scope/io.weight", "default 200\n8:0 50\n");
	record(machine, "/sys/fs/cgroup/p2v.scope/cpu.weight", "100\n");
	weight = weight_create(machine->root, NULL);
	weight_lower(weight);
	expect_weights(machine, low_io, low_cpu);
	weight_restore(weight);
	/* A file keeps no lines for devices, the kernel does. */
	expect_weights(machine, strcmp(low_io, "10") ? low_io : "200", "100");
	weight_lower(weight);
	expect_weights(machine, low_io, low_cpu);
	weight_destroy(weight);
	expect_weights(machine, strcmp(low_io, "10") ? low_io : "200", "100");
	recorded_destroy(machine);
}

static void test_weights(void **state)
{
	CLEANUP_FREE char *alone = xasprintf("%d\n", getpid());
	CLEANUP_FREE char *shared = xasprintf("1\n%d\n", getpid());

	(void)state;
	try_weights(alone, "10", "10");
	try_weights(shared, "default 200\n8:0 50", "100");
	try_weights("1\n", "default 200\n8:0 50", "100");
}

/* Nothing there to be changed is no error. */
static void test_no_cgroups(void **state)
{
	struct recorded_machine *machine = recorded_create();
	struct weight *weight = weight_create(machine->root, NULL);

	(void)state;
	weight_lower(weight);
	weight_destroy(weight);
	record(machine, "/proc/self/cgroup", "0::/\n");
	weight = weight_create(machine->root, NULL);
	weight_lower(weight);
	weight_destroy(weight);
	recorded_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgement),  cmocka_unit_test(test_base),
		cmocka_unit_test(test_lull),	   cmocka_unit_test(test_weights),
		cmocka_unit_test(test_no_cgroups),
	};

	return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
