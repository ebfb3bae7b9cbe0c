/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets the network up: links, bond, VLAN, then an address or DHCP on top.
 *
 * Bond and VLAN have names of our own, so that what we have made can be told
 * from what was there (loading the bonding module makes a bond0 of its own).
 * Left out: wireless networks, IPv6 by DHCP (addresses by router advertisement
 * come from the kernel), 802.1X.
 */
#include "iso/live-network.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "capture/sysroot.h"
#include "iso/live-links.h"
#include "iso/live-scripts.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define BOND_NAME "p2v-bond"
#define VLAN_NAME "p2v-vlan"
#define NO_MODULE "this kernel has no module for it (bonding, 8021q): do without"
#define CARRIER_WAIT_TRIES 25 /* of 200 ms */

struct client {
	char *interface;
	struct child *child;
};

struct live_network {
	const struct live_network_config *config;
	struct live_network_options options;
	char *interface; /* where the address goes; NULL: DHCP on all that are there */
	char *script; /* the file that udhcpc calls */
	struct client *clients;
	size_t client_count, client_capacity;
};

/* Runs ip with up to ten words, NULL at the end. */
static struct err *run_ip(const struct live_network *network, const char *const *words)
{
	const struct run_options options = {.log = network->options.log, .time_limit_ns = 20000000000};
	const char *argv[16];
	size_t count = 0;

	if (!run_is_installed("ip"))
		argv[count++] = "busybox";
	argv[count++] = "ip";
	while (*words && count + 1 < sizeof argv / sizeof *argv)
		argv[count++] = *words++;
	argv[count] = NULL;
	return run_argv(argv, &options, NULL);
}
#define RUN_IP(network, ...) run_ip(network, (const char *const[]){__VA_ARGS__, NULL})

static struct err *write_file(const char *path, mode_t mode, const char *text)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t bytes = strlen(text);

	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes)
		return err_from_errno(errno, "%s", path);
	return NULL;
}

static struct err *find_interface(const struct live_links *links, const char *name_or_mac,
				  const char **ret_name)
{
	const struct live_link *link = live_links_find(links, name_or_mac);

	if (!link)
		return err_advise(err_usage("there is no network interface '%s'", name_or_mac),
				  "choose one of those that are shown, by name or MAC address");
	*ret_name = link->name;
	return NULL;
}

/* An interface may not belong to a bond while it is up. */
static struct err *make_bond(struct live_network *network, const struct live_links *links, char **ret_name)
{
	const struct live_network_config *config = network->config;
	CLEANUP_FREE char *mode_file = xasprintf("/sys/class/net/%s/bonding/mode", BOND_NAME);

	TRY(err_advise(RUN_IP(network, "link", "add", "name", BOND_NAME, "type", "bond"), NO_MODULE));
	TRY(write_file(mode_file, 0644, config->bond_mode ? config->bond_mode : "active-backup"));
	/* How often links are looked at; without it none is ever found dead. */
	free(mode_file);
	mode_file = xasprintf("/sys/class/net/%s/bonding/miimon", BOND_NAME);
	TRY(write_file(mode_file, 0644, "100"));
	for (size_t i = 0; i < config->bond.count; i++) {
		const char *name = NULL;

		TRY(find_interface(links, config->bond.items[i], &name));
		TRY(RUN_IP(network, "link", "set", "dev", name, "down"));
		TRY(RUN_IP(network, "link", "set", "dev", name, "master", BOND_NAME));
	}
	*ret_name = xstrdup(BOND_NAME);
	return NULL;
}

static struct err *make_vlan(struct live_network *network, char **name)
{
	CLEANUP_FREE char *number = xasprintf("%u", network->config->vlan);

	TRY(RUN_IP(network, "link", "set", "dev", *name, "up"));
	TRY(err_advise(RUN_IP(network, "link", "add", "link", *name, "name", VLAN_NAME, "type", "vlan", "id",
			      number),
		       NO_MODULE));
	free(*name);
	*name = xstrdup(VLAN_NAME);
	return NULL;
}

static void take_all_up(struct live_network *network, const struct live_links *links)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->links[i].is_plain)
			err_free(RUN_IP(network, "link", "set", "dev", links->links[i].name, "up"));
}

/* The first with a link, else the first; NULL: none at all. */
static char *choose_interface(const char *resolv_conf)
{
	const struct timespec pause = {0, 200000000};

	for (unsigned tries = 0;; tries++) {
		CLEANUP_LIVE_LINKS struct live_links links = {0};
		const struct live_link *first = NULL;

		live_links_look(resolv_conf, &links);
		for (size_t i = 0; i < links.count; i++) {
			const struct live_link *link = &links.links[i];

			if (link->is_plain && (!first || (link->has_carrier && !first->has_carrier)))
				first = link;
		}
		if ((first && first->has_carrier) || tries >= CARRIER_WAIT_TRIES)
			return first ? xstrdup(first->name) : NULL;
		nanosleep(&pause, NULL);
	}
}

/* Sets network->interface, if it is one alone that gets an address. */
static struct err *make_interface(struct live_network *network)
{
	const struct live_network_config *config = network->config;
	CLEANUP_LIVE_LINKS struct live_links links = {0};
	CLEANUP_FREE char *name = NULL;

	live_links_look(network->options.resolv_conf, &links);
	if (config->bond.count) {
		TRY(make_bond(network, &links, &name));
	} else if (config->interface) {
		const char *found = NULL;

		TRY(find_interface(&links, config->interface, &found));
		name = xstrdup(found);
	}
	take_all_up(network, &links);
	if (!name && (config->address || config->vlan)) {
		name = choose_interface(network->options.resolv_conf);
		if (!name)
			return err_advise(err_failed("this machine has no network interface that we know"),
					  "its driver may be missing: save the log, and add a card");
	}
	if (name && config->vlan)
		TRY(make_vlan(network, &name));
	if (name)
		TRY(RUN_IP(network, "link", "set", "dev", name, "up"));
	network->interface = take_ptr(name);
	return NULL;
}

static struct err *set_mtu(struct live_network *network)
{
	CLEANUP_FREE char *mtu = xasprintf("%u", network->config->mtu);
	CLEANUP_LIVE_LINKS struct live_links links = {0};

	if (!network->config->mtu)
		return NULL;
	live_links_look(network->options.resolv_conf, &links);
	for (size_t i = 0; i < links.count; i++)
		if (links.links[i].is_plain && (!network->interface || network->config->vlan ||
						!strcmp(links.links[i].name, network->interface)))
			err_free(RUN_IP(network, "link", "set", "dev", links.links[i].name, "mtu", mtu));
	if (!network->interface)
		return NULL;
	return RUN_IP(network, "link", "set", "dev", network->interface, "mtu", mtu);
}

/* In a file beside those that the DHCP script writes, before them, and where they are looked for. */
static struct err *write_name_servers(const struct live_network *network)
{
	CLEANUP_FREE char *path = xasprintf("%s/dns.", network->options.run_dir);
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < network->config->dns.count; i++)
		text_addf(&text, "nameserver %s\n", network->config->dns.items[i]);
	TRY(write_file(path, 0644, text.data ? text.data : ""));
	return write_file(network->options.resolv_conf, 0644, text.data ? text.data : "");
}

static struct err *set_address(struct live_network *network)
{
	const struct live_network_config *config = network->config;
	bool is_v6 = config->gateway && strchr(config->gateway, ':');

	TRY(RUN_IP(network, "address", "flush", "dev", network->interface));
	TRY(RUN_IP(network, "address", "add", config->address, "dev", network->interface));
	if (config->gateway)
		TRY(err_advise(RUN_IP(network, is_v6 ? "-6" : "-4", "route", "replace", "default", "via",
				      config->gateway, "dev", network->interface),
			       "the router must be in the same network as the address"));
	return NULL;
}

static struct err *start_client(struct live_network *network, const char *interface, struct child **ret_child)
{
	CLEANUP_FREE char *run_dir = xasprintf("P2V_RUN_DIR=%s", network->options.run_dir);
	CLEANUP_FREE char *resolv_conf = xasprintf("P2V_RESOLV_CONF=%s", network->options.resolv_conf);
	const char *env[] = {run_dir, resolv_conf, NULL};
	const struct run_options options = {.env = env, .log = network->options.log};
	/* In the foreground, for ever: three questions, then a pause of five seconds. */
	const char *const argv[] = {"busybox", "udhcpc", "-f", "-i", interface, "-s", network->script,
				    "-t",      "3",	 "-T", "2",  "-A",	"5",  NULL};

	return child_start(argv, NULL, &options, ret_child);
}

static struct client *find_client(struct live_network *network, const char *interface)
{
	for (size_t i = 0; i < network->client_count; i++)
		if (!strcmp(network->clients[i].interface, interface))
			return &network->clients[i];
	array_grow(network->clients, network->client_count, network->client_capacity);
	network->clients[network->client_count] = (struct client){.interface = xstrdup(interface)};
	return &network->clients[network->client_count++];
}

static struct err *keep_client(struct live_network *network, const char *interface)
{
	struct client *client = find_client(network, interface);

	if (client->child && child_wait(client->child, 0) < 0)
		return NULL;
	child_stop(take_ptr(client->child), 0);
	TRY(RUN_IP(network, "link", "set", "dev", interface, "up"));
	return start_client(network, interface, &client->child);
}

static struct err *keep_clients(struct live_network *network)
{
	CLEANUP_LIVE_LINKS struct live_links links = {0};
	struct err *err = NULL;

	if (network->config->address)
		return NULL;
	if (network->interface)
		return keep_client(network, network->interface);
	live_links_look(network->options.resolv_conf, &links);
	for (size_t i = 0; i < links.count; i++)
		if (links.links[i].is_plain)
			err = err_first(err, keep_client(network, links.links[i].name));
	return err;
}

void live_network_keep(struct live_network *network)
{
	CLEANUP_ERR struct err *err = keep_clients(network);

	if (err)
		log_warning(network->options.log, "%s", err_message(err));
}

/* What an earlier run of ours may have left behind, too. */
static void remove_own(const struct live_network *network)
{
	static const char *const names[] = {VLAN_NAME, BOND_NAME};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (sysroot_has("", "/sys/class/net/%s/ifindex", names[i]))
			err_free(RUN_IP(network, "link", "delete", "dev", names[i]));
}

struct err *live_network_start(const struct live_network_config *config,
			       const struct live_network_options *options, struct live_network **ret_network)
{
	CLEANUP_LIVE_NETWORK struct live_network *network = xcalloc(1, sizeof *network);

	*network = (struct live_network){
		.config = config,
		.options = *options,
		.script = xasprintf("%s/dhcp.sh", options->run_dir),
	};
	remove_own(network);
	TRY(write_file(network->script, 0755, live_dhcp_script));
	TRY(err_wrap(make_interface(network), "network"));
	TRY(err_wrap(set_mtu(network), "network"));
	TRY(write_name_servers(network));
	TRY(err_wrap(config->address ? set_address(network) : keep_clients(network), "network"));
	*ret_network = take_ptr(network);
	return NULL;
}

/* Else the next configuration would add to this one. */
static void flush_addresses(const struct live_network *network)
{
	if (network->interface && sysroot_has("", "/sys/class/net/%s/ifindex", network->interface))
		err_free(RUN_IP(network, "address", "flush", "dev", network->interface));
	for (size_t i = 0; i < network->client_count; i++)
		if (sysroot_has("", "/sys/class/net/%s/ifindex", network->clients[i].interface))
			err_free(RUN_IP(network, "address", "flush", "dev", network->clients[i].interface));
}

static void forget_name_servers(const struct live_network *network)
{
	CLEANUP_FREE char *pattern = xasprintf("%s/dns.*", network->options.run_dir);
	glob_t found;

	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
}

void live_network_stop(struct live_network *network)
{
	if (!network)
		return;
	for (size_t i = 0; i < network->client_count; i++)
		child_stop(network->clients[i].child, 1000000000);
	flush_addresses(network);
	forget_name_servers(network);
	remove_own(network);
	for (size_t i = 0; i < network->client_count; i++)
		free(network->clients[i].interface);
	free(network->clients);
	free(network->interface);
	free(network->script);
	free(network);
}
