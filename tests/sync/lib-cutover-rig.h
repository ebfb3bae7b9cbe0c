/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cutover between two processes, a sender with a server that is written to all the time and a receiver, by
 * way of a line that we carry: at one of the messages of its end something happens.  All three keep their
 * eyes on whether both could run: the server, and its copy.
 */
#ifndef TESTS_SYNC_LIB_CUTOVER_RIG_H
#define TESTS_SYNC_LIB_CUTOVER_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/sync/checkpoint.h"

/* The messages of a cutover's end, in their order. */
enum cutover_message { CUTOVER_HOLD, CUTOVER_HELD, CUTOVER_COMMIT, CUTOVER_COMMITTED };

/* What happens at it, before it is handed on or behind that. */
enum cutover_fault {
	CUTOVER_SOUND,
	CUTOVER_CUT, /* the line breaks */
	CUTOVER_KILL_SENDER,
	CUTOVER_KILL_RECEIVER, /* another one begins */
	CUTOVER_LOSE_RECEIVER, /* none does */
	CUTOVER_TIME_OUT, /* the time is over, as far as the dead man's process is concerned */
	CUTOVER_FOREIGN_THAW, /* somebody else lets the server go on, and the line breaks */
};

enum cutover_fate { CUTOVER_OPEN, CUTOVER_KEPT, CUTOVER_EXPIRED };

/* In memory that all three share. */
struct cutover_facts {
	/* What is to happen; fault becomes CUTOVER_SOUND when it has. */
	enum cutover_message at;
	_Atomic enum cutover_fault fault;
	bool behind; /* it was handed on */
	unsigned patience_ms; /* of the sender that has decided */
	bool thaws_after_commit; /* the negative control: commits at once, and thaws where that fails */
	/* What is so. */
	atomic_int step; /* how many of HOLD and COMMIT the sender was about to say in this try */
	_Atomic enum cutover_fate fate; /* decided as the dead man's process does: once */
	atomic_bool is_frozen;
	atomic_bool is_complete; /* the copies may look complete, or do */
	atomic_bool is_equal; /* once the sender has ended well */
	atomic_uint violations; /* both could run */
	atomic_uint thaws;
	atomic_bool listens; /* a receiver was there */
	atomic_int visits; /* connections that the receiver serves */
	atomic_int kill; /* whom we have to kill: an enum cutover_fault */
};

struct cutover_rig {
	struct scratch *scratch;
	struct cutover_facts *facts;
	struct child *sender, *receiver;
	int listener;
	atomic_uint lines; /* directions that are carried */
	atomic_bool ends;
	pthread_t acceptor;
};

/* For main(): the test is started again as one of the two, which then does not return. */
void cutover_be_child(int argc, char **argv);

/* Starts both; the faults are set in facts. */
void cutover_rig_init(struct cutover_rig *rig, struct cutover_facts facts);
/* Kills whom it is to, up to the end of the sender; its status. */
int cutover_rig_run(struct cutover_rig *rig);
/* Waits until the receiver is through with all that it was told. */
void cutover_rig_settle(const struct cutover_rig *rig);
/* Ends the receiver, whatever it does. */
void cutover_rig_deinit(struct cutover_rig *rig);
#define CLEANUP_CUTOVER_RIG CLEANUP(cutover_rig_deinit)

/* What the receiver remembers. */
void cutover_rig_load_job(const struct cutover_rig *rig, struct checkpoint *ret_job);
/* What the sender and the receiver have said; the caller frees it. */
char *cutover_rig_messages(const struct cutover_rig *rig);

#endif
