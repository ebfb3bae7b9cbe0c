/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iso/live-config.h"
#include "p2v/base/mem.h"

static void make_key(char text[KEY_TEXT_BYTES])
{
	CLEANUP_KEY struct key *key = NULL;

	assert_null(key_make(&key));
	key_format(key, text);
}

static void assert_joined(const struct strv *list, const char *wanted)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < list->count; i++)
		text_addf(&text, "%s%s", i ? "," : "", list->items[i]);
	assert_string_equal(text.data ? text.data : "", wanted);
}

static void assert_same(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

static void test_command_line(void **state)
{
	CLEANUP_LIVE_CONFIG struct live_config config = {0};
	char key[KEY_TEXT_BYTES], again[KEY_TEXT_BYTES];
	CLEANUP_FREE char *line = NULL;

	(void)state;
	make_key(key);
	line = xasprintf("BOOT_IMAGE=/boot/vmlinuz quiet p2v.server=192.0.2.9:4902 p2v.key=%s vlan=7 "
			 "p2v.disks=sda,/dev/nvme0n1 p2v.name=my-server \"p2v.bond=eth0 eth1\" console=ttyS0 "
			 "p2v.after=poweroff "
			 "mtu=9000 name=other limit=5 p2v.limit=10M p2v.on-read-error=zero p2v.verify=yes\n",
			 key);
	live_config_take_command_line(line, &config);
	assert_int_equal(config.complaints.count, 0);
	assert_string_equal(config.server, "192.0.2.9:4902");
	assert_non_null(config.key);
	key_format(config.key, again);
	assert_string_equal(again, key);
	assert_joined(&config.disks, "sda,/dev/nvme0n1");
	assert_string_equal(config.name, "my-server");
	assert_string_equal(config.limit, "10M");
	assert_joined(&config.network.bond, "eth0,eth1");
	assert_int_equal(config.after, LIVE_AFTER_POWEROFF);
	assert_int_equal(config.network.vlan, 7);
	assert_int_equal(config.network.mtu, 9000);
	assert_true(config.zero_unreadable && config.verify && !config.all);
}

static void test_file_is_overridden(void **state)
{
	CLEANUP_LIVE_CONFIG struct live_config config = {0};

	(void)state;
	live_config_take_file("# made by p2v iso configure\n\n server = first \r\nafter=reboot\n"
			      "bond=eth0,52:54:00:00:00:02\nbondmode=802.3ad\ndisks=sda\n",
			      &config);
	live_config_take_command_line("p2v.server=second p2v.disks=auto", &config);
	assert_int_equal(config.complaints.count, 0);
	assert_string_equal(config.server, "second");
	assert_int_equal(config.disks.count, 0);
	assert_int_equal(config.after, LIVE_AFTER_REBOOT);
	assert_joined(&config.network.bond, "eth0,52:54:00:00:00:02");
	assert_string_equal(config.network.bond_mode, "802.3ad");
}

/* What ip= means: NULL where it tells nothing. */
static const struct {
	const char *ip, *address, *gateway, *interface, *dns;
} ips[] = {
	{"dhcp", NULL, NULL, NULL, ""},
	{"", NULL, NULL, NULL, ""},
	{"192.0.2.7/24", "192.0.2.7/24", NULL, NULL, ""},
	{"2001:db8::7/64", "2001:db8::7/64", NULL, NULL, ""},
	{"192.0.2.7::192.0.2.1:255.255.255.0::eth1:none:192.0.2.3:192.0.2.4", "192.0.2.7/24", "192.0.2.1",
	 "eth1", "192.0.2.3,192.0.2.4"},
	{"192.0.2.7:192.0.2.2:192.0.2.1:255.255.252.0", "192.0.2.7/22", "192.0.2.1", NULL, ""},
	{":::::eth1:dhcp", NULL, NULL, "eth1", ""},
};

static void test_ip(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ips / sizeof *ips; i++) {
		CLEANUP_LIVE_CONFIG struct live_config config = {0};

		assert_null(live_config_set(&config, "ip", ips[i].ip));
		assert_same(config.network.address, ips[i].address);
		assert_same(config.network.gateway, ips[i].gateway);
		assert_same(config.network.interface, ips[i].interface);
		assert_joined(&config.network.dns, ips[i].dns);
	}
}

/* Each is wrong, and what the complaint says of it. */
static const struct {
	const char *name, *value, *says;
} wrongs[] = {
	{"nothing", "1", "no word"},
	{"key", "ABCDE", "too short"},
	{"after", "explode", "wait, poweroff"},
	{"name", "../etc", "job"},
	{"server", "host:99999", "no address"},
	{"server", "http://host", "no address"},
	{"server", ":4711", "no host"},
	{"ssh", "AAAAC3NzaC1lZDI1NTE5AAAAIP2v", "SSH public key"},
	{"limit", "fast", "10M"},
	{"limit", "10Q", "10M"},
	{"verify", "maybe", "yes nor no"},
	{"on-read-error", "ignore", "stop or zero"},
	{"ip", "192.0.2.7", "ADDRESS/BITS"},
	{"ip", "192.0.2.7/33", "ADDRESS/BITS"},
	{"ip", "192.0.2.7/", "ADDRESS/BITS"},
	{"ip", "192.0.2.7/-1", "ADDRESS/BITS"},
	{"ip", "192.0.2.777/24", "ADDRESS/BITS"},
	{"ip", "192.0.2.7:::255.0.255.0", "mask"},
	{"ip", "192.0.2.7::nowhere:255.255.255.0", "'nowhere' is no address"},
	{"gateway", "192.0.2", "no address"},
	{"dns", "192.0.2.1,x", "'x' is no address"},
	{"vlan", "4095", "1 to 4094"},
	{"vlan", "-1", "1 to 4094"},
	{"vlan", "7x", "1 to 4094"},
	{"mtu", "100", "576"},
	{"bond", "eth0,eth0", "twice"},
	{"bondmode", "best", "mode of bonds"},
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		CLEANUP_LIVE_CONFIG struct live_config config = {0};
		CLEANUP_FREE char *line = xasprintf("p2v.%s=%s", wrongs[i].name, wrongs[i].value);

		live_config_take_command_line(line, &config);
		assert_int_equal(config.complaints.count, 1);
		assert_non_null(strstr(config.complaints.items[0], wrongs[i].says));
		assert_null(config.server);
		assert_null(config.limit);
		assert_null(config.key);
		assert_null(config.network.address);
		assert_int_equal(config.network.vlan, 0);
	}
}

/* A key with a typing error is complained of without being told. */
static void test_key_is_not_repeated(void **state)
{
	CLEANUP_LIVE_CONFIG struct live_config config = {0};
	char key[KEY_TEXT_BYTES];
	CLEANUP_FREE char *text = NULL;

	(void)state;
	make_key(key);
	key[3] = key[3] == '7' ? '8' : '7';
	text = xasprintf("key=%s\nkey %s\n", key, key);
	live_config_take_file(text, &config);
	assert_int_equal(config.complaints.count, 2);
	assert_null(config.key);
	for (size_t i = 0; i < 2; i++)
		assert_null(strstr(config.complaints.items[i], key + 6));
}

static void test_every_word_is_described(void **state)
{
	const char *name, *help;
	size_t count = 0;

	(void)state;
	for (; live_config_describe(count, &name, &help); count++) {
		CLEANUP_LIVE_CONFIG struct live_config config = {0};

		assert_true(*name && *help);
		/* A word without a value never ends us. */
		live_config_take_command_line(name, &config);
		err_free(live_config_set(&config, name, ""));
	}
	assert_true(count > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_file_is_overridden),
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_key_is_not_repeated),
		cmocka_unit_test(test_every_word_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
