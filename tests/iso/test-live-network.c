/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/sysroot.h"
#include "iso/live-links.h"
#include "iso/live-network.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "tests/base/lib-must.h"
#include "tests/iso/lib-net.h"

#define WAIT_TRIES 600 /* of 100 ms: a limit for what never comes */

struct world {
	struct scratch *scratch;
	char *resolv_conf;
	struct live_network_options options;
	struct live_config config;
	struct live_network *network;
};

static int begin(void **state)
{
	struct world *world = xcalloc(1, sizeof *world);

	*state = world;
	assert_null(scratch_create("/tmp", "p2v-test", &world->scratch));
	world->resolv_conf = xasprintf("%s/resolv.conf", scratch_path(world->scratch));
	world->options =
		(struct live_network_options){scratch_path(world->scratch), world->resolv_conf, NULL};
	if (geteuid() || !net_begin(scratch_path(world->scratch)))
		skip();
	return 0;
}

static int end(void **state)
{
	struct world *world = *state;

	live_network_stop(world->network);
	net_end();
	live_config_deinit(&world->config);
	scratch_destroy(world->scratch);
	free(world->resolv_conf);
	free(world);
	return 0;
}

static void set(struct world *world, const char *words)
{
	live_config_take_command_line(words, &world->config);
	assert_int_equal(world->config.complaints.count, 0);
}

static void start(struct world *world)
{
	must(live_network_start(&world->config.network, &world->options, &world->network));
}

/* The first address of an interface; NULL: none. */
static char *address_of(const struct world *world, const char *interface)
{
	CLEANUP_LIVE_LINKS struct live_links links = {0};
	const struct live_link *link;

	live_links_look(world->resolv_conf, &links);
	link = live_links_find(&links, interface);
	return link && link->addresses.count ? xstrdup(link->addresses.items[0]) : NULL;
}

static char *wait_for_address(struct world *world, const char *interface)
{
	for (unsigned i = 0; i < WAIT_TRIES; i++) {
		char *address = address_of(world, interface);

		if (address)
			return address;
		live_network_keep(world->network);
		usleep(100000);
	}
	fail_msg("%s never gets an address", interface);
	return NULL;
}

static void assert_static(struct world *world, const char *interface, const char *address)
{
	CLEANUP_FREE char *got = address_of(world, interface);

	assert_non_null(got);
	assert_string_equal(got, address);
}

static void test_dhcp_on_all(void **state)
{
	struct world *world = *state;
	CLEANUP_LIVE_LINKS struct live_links links = {0}, after = {0};
	CLEANUP_FREE char *address = NULL, *other = NULL;

	/* The server comes late: nobody has given up. */
	start(world);
	net_serve_dhcp("far1");
	address = wait_for_address(world, "eth1");
	other = address_of(world, "eth0");
	assert_true(str_starts_with(address, "192.0.2.5"));
	assert_true(str_ends_with(address, "/24"));
	assert_null(other);
	for (unsigned i = 0; i < WAIT_TRIES && !links.dns.count; i++) {
		live_links_deinit(&links);
		usleep(100000);
		live_links_look(world->resolv_conf, &links);
	}
	assert_string_equal(links.gateway, "192.0.2.1");
	assert_string_equal(links.dns.items[0], "192.0.2.3");
	live_network_stop(take_ptr(world->network));
	live_links_look(world->resolv_conf, &after);
	assert_false(live_links_have_address(&after));
	assert_null(after.gateway);
}

static void test_static_by_mac(void **state)
{
	struct world *world = *state;
	CLEANUP_LIVE_LINKS struct live_links links = {0};

	net_here("ip link set eth1 address 52:54:00:00:00:aB");
	set(world,
	    "ip=192.0.2.7/24 gateway=192.0.2.1 dns=192.0.2.3,192.0.2.4 mtu=1400 interface=52:54:00:00:00:AB");
	start(world);
	assert_static(world, "eth1", "192.0.2.7/24");
	live_links_look(world->resolv_conf, &links);
	assert_string_equal(links.gateway, "192.0.2.1");
	assert_int_equal(links.dns.count, 2);
	assert_int_equal(sysroot_number("", "/sys/class/net/eth1/mtu"), 1400);
	assert_int_equal(sysroot_number("", "/sys/class/net/eth0/mtu"), 1500);
}

static void test_static_where_a_link_is(void **state)
{
	struct world *world = *state;

	net_there("ip link set far0 down");
	set(world, "ip=2001:db8::7/64 gateway=2001:db8::1");
	start(world);
	assert_static(world, "eth1", "2001:db8::7/64");
}

/* Not every kernel that tests run on has these. */
static bool has_kind(const char *kind)
{
	const char *const add[] = {"ip",   "link", "add",  "link", "eth0",
				   "name", "try",  "type", kind,   strcmp(kind, "vlan") ? NULL : "id",
				   "99",   NULL};
	static const char *const delete[] = {"ip", "link", "delete", "dev", "try", NULL};
	CLEANUP_ERR struct err *err = run_argv(add, NULL, NULL);

	if (!err)
		err_free(run_argv(delete, NULL, NULL));
	else
		print_message("skipped: no %s here: %s\n", kind, err_message(err));
	return !err;
}

static void test_vlan(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *address = NULL;

	if (!has_kind("vlan"))
		skip();
	net_there("ip link add link far0 name far0.7 type vlan id 7");
	net_there("ip link set far0.7 up");
	net_serve_dhcp("far0.7");
	set(world, "vlan=7 interface=eth0");
	start(world);
	address = wait_for_address(world, "p2v-vlan");
	assert_true(str_starts_with(address, "192.0.2.5"));
}

static void test_bond(void **state)
{
	struct world *world = *state;
	CLEANUP_FREE char *mode = NULL, *members = NULL;

	if (!has_kind("bond") || !has_kind("vlan"))
		skip();
	set(world, "bond=eth0,eth1 bondmode=balance-rr vlan=9 ip=192.0.2.7/24");
	start(world);
	mode = sysroot_read("", "/sys/class/net/p2v-bond/bonding/mode");
	members = sysroot_read("", "/sys/class/net/p2v-bond/bonding/slaves");
	assert_true(str_starts_with(mode, "balance-rr"));
	assert_string_equal(members, "eth0 eth1");
	assert_static(world, "p2v-vlan", "192.0.2.7/24");
	live_network_stop(take_ptr(world->network));
	assert_false(sysroot_has("", "/sys/class/net/p2v-bond"));
	assert_false(sysroot_has("", "/sys/class/net/p2v-vlan"));
}

static const struct {
	const char *words;
	enum err_kind kind;
	const char *says;
} wrongs[] = {
	{"interface=eth7", ERR_USAGE, "eth7"},
	{"bond=eth0,eth7 bondmode=active-backup", 0, "eth7"},
	{"ip=192.0.2.7/24 gateway=198.51.100.1 interface=eth0", ERR_FAILED, "ip failed"},
};

/* After an error everything is as before, and the next configuration works. */
static void test_wrong(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		CLEANUP_LIVE_CONFIG struct live_config config = {0};
		CLEANUP_LIVE_LINKS struct live_links links = {0};
		struct err *err;

		live_config_take_command_line(wrongs[i].words, &config);
		err = live_network_start(&config.network, &world->options, &world->network);
		assert_non_null(err);
		assert_non_null(err_advice(err));
		if (wrongs[i].kind)
			must_fail_as(err, wrongs[i].kind, wrongs[i].says);
		else
			must_fail(err, 0);
		live_links_look(world->resolv_conf, &links);
		assert_false(live_links_have_address(&links));
	}
	set(world, "ip=192.0.2.7/24 interface=eth0");
	start(world);
	assert_static(world, "eth0", "192.0.2.7/24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dhcp_on_all, begin, end),
		cmocka_unit_test_setup_teardown(test_static_by_mac, begin, end),
		cmocka_unit_test_setup_teardown(test_static_where_a_link_is, begin, end),
		cmocka_unit_test_setup_teardown(test_vlan, begin, end),
		cmocka_unit_test_setup_teardown(test_bond, begin, end),
		cmocka_unit_test_setup_teardown(test_wrong, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
