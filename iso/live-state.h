/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that a machine started from the ISO knows and has chosen: what the
 * screens read and change, and the unattended start too.
 */
#ifndef ISO_LIVE_STATE_H
#define ISO_LIVE_STATE_H

#include "capture/layout.h"
#include "iso/live-config.h"
#include "iso/live-links.h"
#include "iso/live-log.h"
#include "iso/live-network.h"
#include "iso/live-presence.h"
#include "iso/live-transfer.h"

/* Where things are; tests put them elsewhere. */
struct live_options {
	const char *sysroot; /* of the machine that is looked at */
	const char *command_line, *config_file; /* "/proc/cmdline", "/etc/p2v.conf" */
	const char *run_dir; /* "/run/p2v": made if it is not there */
	const char *resolv_conf;
	const char *program; /* the agent itself */
	const char *helper_dir; /* "/usr/lib/p2v": assemble, disassemble */
	bool keeps_network; /* does not touch it */
	bool may_end_machine; /* power off and reboot are ours to do */
};

struct live_state {
	const struct live_options *options;
	struct live_config config;
	struct live_log *log_file;
	const struct log *log;
	struct live_network *network; /* NULL: not set up */
	struct machine machine; /* all of its disks */
	struct layout layout; /* of the machine: what is taken, and findings */
	struct strv
		inside; /* what was found inside disks while arrays and volumes were assembled, a line each */
	struct strv chosen; /* devices to send */
	char *disk_problem; /* why the disks that the configuration names are not chosen; NULL: they are */
	char *name; /* of the job */
	struct live_transfer *transfer; /* NULL: not begun */
	struct live_presence *presence; /* NULL: there is no receiver yet */
};

/* Reads what the machine is told; complaints about it are in ret_state->config.  Options must live as long.
 */
struct err *live_state_begin(const struct live_options *options, struct live_state *ret_state) ERR_MUST_CHECK;
void live_state_end(struct live_state *state);
#define CLEANUP_LIVE_STATE CLEANUP(live_state_end)

/* Sets the network up as the configuration says; the old set-up is taken away first. */
struct err *live_state_set_up_network(struct live_state *state) ERR_MUST_CHECK;
void live_state_look_at_links(const struct live_state *state, struct live_links *ret_links);

/* Looks at the disks anew, and chooses as the configuration says.  ERR_REFUSED: one that it names is not
 * there; then what a capture takes is chosen. */
struct err *live_state_find_disks(struct live_state *state) ERR_MUST_CHECK;

/* Chooses these devices, and finds anew what is to be said about them. */
struct err *live_state_choose(struct live_state *state, const struct strv *devices) ERR_MUST_CHECK;

/* Begins to tell the receiver of this machine, if server and key are known; anew if it was begun already. */
void live_state_announce(struct live_state *state);

/* Begins to send what is chosen. */
struct err *live_state_send(struct live_state *state) ERR_MUST_CHECK;

/* To be called a few times a second: moves network, presence and transfer on; true, and how it stands, if
 * there is a transfer. */
bool live_state_keep(struct live_state *state, struct live_progress *ret_progress);

#endif
