/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * That this machine is there, told to the receiver from the first second: the
 * agent's own `announce` as a child, which connects again for ever.
 */
#ifndef ISO_LIVE_PRESENCE_H
#define ISO_LIVE_PRESENCE_H

#include "iso/live-config.h"
#include "p2v/base/log.h"

struct live_presence_options {
	const struct live_config *config; /* server and key are wanted */
	const char *name; /* of the machine */
	const char *program, *run_dir; /* as in live_transfer_options */
	const struct log *log;
};

enum live_presence_state { LIVE_UNHEARD, LIVE_HEARD, LIVE_UNWANTED };

struct live_presence;

/* Begins.  What options point to is copied or must live as long. */
struct err *live_presence_start(const struct live_presence_options *options,
				struct live_presence **ret_presence) ERR_MUST_CHECK;

/* Moves it on, and tells whether the receiver hears us.  *ret_why: why not, NULL if that is not known; lasts
 * until the next call. */
enum live_presence_state live_presence_look(struct live_presence *presence, const char **ret_why);

/* "booted", "waiting", "sending", "done" or "failed" (wire.h), and why, which may be NULL.  Takes NULL. */
void live_presence_tell(struct live_presence *presence, const char *phase, const char *reason);

/* Waits a moment for the receiver to have heard what was told last.  Takes NULL. */
void live_presence_stop(struct live_presence *presence);

/* Brings a file to the receiver; takes as long as that. */
struct err *live_presence_bring(const struct live_presence_options *options, const char *path) ERR_MUST_CHECK;

#endif
