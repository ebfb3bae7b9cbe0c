/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a machine that was started from the ISO is told: words on the kernel's command line and in
 * /etc/p2v.conf, which `p2v iso configure` writes into an image.
 *
 * On the command line each word is p2v.NAME=VALUE (those of the network also without p2v.), in the file
 * NAME=VALUE, one a line, # begins a comment.  The table in live-config.c is all of them.
 */
#ifndef ISO_LIVE_CONFIG_H
#define ISO_LIVE_CONFIG_H

#include <stdbool.h>

#include "p2v/base/strv.h"
#include "p2v/sync/key.h"

enum live_after { LIVE_AFTER_WAIT, LIVE_AFTER_POWEROFF, LIVE_AFTER_REBOOT, LIVE_AFTER_SHELL };

/* Zero-initialised: DHCP on every interface that has a link. */
struct live_network_config {
	char *address; /* "192.0.2.7/24"; NULL: DHCP */
	char *gateway; /* NULL: none */
	struct strv dns;
	char *interface; /* name or MAC; NULL: all of them */
	struct strv bond; /* the names or MACs of what is bonded; empty: no bond */
	char *bond_mode; /* the kernel's name; NULL: active-backup */
	unsigned vlan; /* 0: none */
	unsigned mtu; /* 0: as it is */
};

struct live_config {
	char *server; /* as `send` takes it; NULL: not told */
	struct key *key; /* NULL: not told */
	char *name; /* of the job; NULL: the agent's default */
	struct strv
		disks; /* device, its last part, serial number or WWN; empty: those that a capture takes */
	char *limit; /* as `send --limit` takes it; NULL: none */
	bool zero_unreadable, verify, all;
	enum live_after after;
	struct live_network_config network;
	struct strv complaints; /* about words that are not understood; never repeats a key */
};

/* Reads words as they stand on the kernel's command line; others than ours are passed over.  A word that was
 * there already is replaced. */
void live_config_take_command_line(const char *text, struct live_config *config);

/* Reads words as they stand in /etc/p2v.conf.  The text ends at the first NUL. */
void live_config_take_file(const char *text, struct live_config *config);

/* Sets one word by its name, as a person types it; ERR_USAGE says what is wrong. */
struct err *live_config_set(struct live_config *config, const char *name, const char *value) ERR_MUST_CHECK;

void live_config_deinit(struct live_config *config);
#define CLEANUP_LIVE_CONFIG CLEANUP(live_config_deinit)

/* The words and what they mean, in the table's order, for help: false behind the last one. */
bool live_config_describe(size_t index, const char **ret_name, const char **ret_help);

const char *live_after_name(enum live_after after);

#endif
