/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Machines that announce themselves to a world's receiver, and what that knows of them. */
#ifndef TESTS_SYNC_LIB_SYNC_ANNOUNCING_H
#define TESTS_SYNC_LIB_SYNC_ANNOUNCING_H

#include "p2v/sync/announce.h"
#include "p2v/sync/announced.h"
#include "tests/sync/lib-sync-world.h"

/* A machine with its announcer, in a thread. */
struct machine_there {
	struct sync_world *world;
	struct announce_options options;
	struct announcer *announcer;
	pthread_t thread;
	struct err *err; /* that it has ended with */
	char id;
	const char *name, *vendor;
	pthread_mutex_t line; /* who holds it is the only one to connect */
	bool is_cut;
	atomic_uint connected, lost; /* how often */
};

/* Of that id; its texts may be changed before it starts. */
void announcing_init(struct machine_there *machine, struct sync_world *world, char id);
void announcing_start(struct machine_there *machine);
/* What it ends with when it is to end, or has ended with. */
struct err *announcing_end(struct machine_there *machine);

/* What the receiver remembers of a machine; false: it is not known, or not yet. */
bool announced_find(const struct sync_world *world, char id, struct announced *ret_machine);
size_t announced_count(const struct sync_world *world);
/* Until the receiver knows this of it; the test as a whole needs a time limit. */
void announced_wait_for(const struct sync_world *world, char id, enum wire_phase phase, bool connected);
void sync_wait_a_moment(void);

#endif
