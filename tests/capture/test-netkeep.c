// SPDX-License-Identifier: GPL-3.0-or-later
/* A network that is taken down is set up again: in a network namespace of its own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/netkeep.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"

/* What `ip` prints; each time it must work. */
static char *ip(const char *words)
{
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_RUN_RESULT struct run_result result = {0};

	strv_add(&argv, "ip");
	strv_split(&argv, words, " ");
	must(run_argv((const char *const *)argv.items, &(struct run_options){0}, &result));
	return take_ptr(result.out);
}

static void must_ip(const char *words)
{
	free(ip(words));
}

static void make_network(void)
{
	must_ip("link set lo up");
	must_ip("link add one type veth peer name other");
	must_ip("link add unused type veth peer name unused2");
	must_ip("link set other up");
	must_ip("link set one up");
	must_ip("address add 192.0.2.10/24 dev one");
	must_ip("address add 192.0.2.11/24 dev one");
	must_ip("address add 2001:db8::10/64 dev one nodad");
	must_ip("route add default via 192.0.2.1");
	must_ip("route add 198.51.100.0/24 via 192.0.2.7 src 192.0.2.11 metric 50");
	must_ip("route add 203.0.113.0/24 dev one table 77");
	must_ip("-6 route add default via 2001:db8::1");
}

/* What there is of it, in words. */
static char *see_network(void)
{
	CLEANUP_FREE char *four = ip("-4 -o address show dev one");
	CLEANUP_FREE char *six = ip("-6 -o address show dev one scope global");
	CLEANUP_FREE char *routes = ip("-4 route show table all type unicast");
	CLEANUP_FREE char *routes_six = ip("-6 route show default");

	return xasprintf("%s%s%s%s", four, six, routes, routes_six);
}

static void taken_down(void **state)
{
	static const char *const ways[][3] = {
		{"link set one down", "link set one up", NULL}, /* routes go */
		{"address flush dev one", NULL}, /* as ifdown does */
		{"address flush dev one", "link set one down", NULL},
		{"route del default", NULL},
	};
	CLEANUP_NETKEEP struct netkeep *netkeep = NULL;
	CLEANUP_FREE char *before = NULL;

	(void)state;
	before = see_network();
	must(netkeep_remember(&netkeep));
	assert_int_equal(netkeep_restore(netkeep), 0);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		CLEANUP_FREE char *down = NULL;
		CLEANUP_FREE char *after = NULL;

		for (size_t k = 0; ways[i][k]; k++)
			must_ip(ways[i][k]);
		down = see_network();
		assert_string_not_equal(down, before);
		assert_true(netkeep_restore(netkeep) > 0);
		netkeep_restore(netkeep);
		after = see_network();
		assert_string_equal(after, before);
		assert_int_equal(netkeep_restore(netkeep), 0);
	}
}

/* What was down stays down, and what is gone does not come back. */
static void left_alone(void **state)
{
	CLEANUP_NETKEEP struct netkeep *netkeep = NULL;
	CLEANUP_FREE char *unused = NULL;

	(void)state;
	must(netkeep_remember(&netkeep));
	netkeep_restore(netkeep);
	unused = ip("-o link show dev unused");
	assert_non_null(strstr(unused, "state DOWN"));
	must_ip("link del one");
	assert_int_equal(netkeep_restore(netkeep), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_down),
		cmocka_unit_test(left_alone),
	};

	if (unshare(CLONE_NEWNET)) {
		print_message("skipped: no network namespaces here\n");
		return 77;
	}
	make_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
