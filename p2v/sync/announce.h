/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A machine announces itself at a receiver: wire.h, 7.
 *
 * An announcer keeps a connection for as long as it runs, makes a new one
 * whenever it breaks, for ever and with growing pauses, and tells over it what
 * it was told last.
 */
#ifndef P2V_SYNC_ANNOUNCE_H
#define P2V_SYNC_ANNOUNCE_H

#include "p2v/base/err.h"
#include "p2v/sync/codec.h"
#include "p2v/sync/key.h"

/* What a machine tells of itself.  Texts may be any, and NULL: what goes over the wire is made printable, and
 * cut. */
struct announcement {
	uint8_t id[WIRE_MACHINE_ID_BYTES];
	char *name; /* as of a job: wire_is_job_name() */
	char *vendor, *model, *serial;
	char *addresses; /* "192.0.2.7/24 2001:db8::7/64" */
	uint32_t up_seconds;
};
void announcement_deinit(struct announcement *announcement);
#define CLEANUP_ANNOUNCEMENT CLEANUP(announcement_deinit)

/* Zeros mean the default.  All must live as long as the announcer. */
struct announce_options {
	const struct key *key;
	struct err *(*connect)(void *arg, int *ret_fd); /* makes a connection to the receiver, a socket */
	void *connect_arg;
	/* What the machine is just now, asked for each connection; ret_announcement is zero-initialised. */
	void (*describe)(void *arg, struct announcement *ret_announcement);
	void *describe_arg;
	/* NULL, or told of each change: NULL is a connection that works, else why there is none, for the time
	 * being. */
	void (*changed)(void *arg, const struct err *err);
	void *changed_arg;
	uint64_t silence_limit_ns; /* default WIRE_SILENCE_SECONDS */
	uint64_t alive_ns; /* between two messages; default WIRE_ALIVE_SECONDS */
	uint64_t first_pause_ns; /* before the second try, then twice as long each; default 1 s */
	uint64_t longest_pause_ns; /* default 30 s */
};

struct announcer;
struct err *announcer_create(const struct announce_options *options, struct announcer **ret_announcer)
	ERR_MUST_CHECK;
void announcer_destroy(struct announcer *announcer); /* takes NULL; announcer_run() must have returned */

/* The phase from now on, and a line on it (NULL: none); from any thread. */
void announcer_tell(struct announcer *announcer, enum wire_phase phase, const char *reason);
/* Makes announcer_run() return as soon as the receiver knows what was told last; where it does not yet, there
 * is one more try.  From any thread. */
void announcer_end(struct announcer *announcer);

/*
 * Announces until announcer_end() was called.  NULL: the receiver knows what was told last.  ERR_REFUSED, at
 * once: it never will (a wrong key, an older receiver).  ERR_FAILED: it could not be reached, at the end.
 */
struct err *announcer_run(struct announcer *announcer) ERR_MUST_CHECK;

/* Brings a bundle, 1…WIRE_MAX_BUNDLE_BYTES from where fd stands to its end, over a connection of its own;
 * NULL: it is durable there.  The machine's phase stays what it is. */
struct err *announce_bundle(const struct announce_options *options, int fd) ERR_MUST_CHECK;

DEFINE_CLEANUP(announcer, struct announcer *, announcer_destroy)
#define CLEANUP_ANNOUNCER CLEANUP(cleanup_announcer)

#endif
