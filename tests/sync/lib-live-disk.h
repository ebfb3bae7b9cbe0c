/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server for struct live_source: disks in memory that threads write to all the time, which are marked as a
 * tracker marks them, at issue and at completion; and what may go wrong with that.
 */
#ifndef TESTS_SYNC_LIB_LIVE_DISK_H
#define TESTS_SYNC_LIB_LIVE_DISK_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "p2v/base/blk.h"
#include "p2v/sync/live.h"

#define LIVE_DISKS 2u
#define LIVE_DISK_BYTES ((12u << 20) + 512) /* ends in a short block */
#define LIVE_CELL_BYTES (64u << 10)
#define LIVE_CELLS (LIVE_DISK_BYTES / LIVE_CELL_BYTES + 1)

/* At the take of that number, counted from 1 over both disks. */
enum live_fault {
	LIVE_SOUND,
	LIVE_LOSES, /* changes are lost, and it says so */
	LIVE_LOSES_LATE, /* it says so at the next take of that disk */
	LIVE_LOSES_SILENTLY, /* the negative control */
	LIVE_KNOWS_NOTHING, /* is never certain */
};

struct live_server {
	struct blk *disks[LIVE_DISKS];
	atomic_uchar cells[LIVE_DISKS][LIVE_CELLS];
	struct extents used[LIVE_DISKS]; /* empty: all of it */
	sem_t gate; /* the writer has it for each write, the freeze for all of its time */
	pthread_t writer;
	atomic_bool ends;
	atomic_uint pause_us; /* between writes */
	atomic_uint span_cells; /* at the start of each disk, that are written to; 0: all */
	struct live_source source;
	/* What goes wrong. */
	enum live_fault fault;
	unsigned fault_take;
	unsigned writes_while_frozen; /* at the check of that number something does; 0: never */
	unsigned own_writes; /* while frozen: one at each take of disk 0, at its start, so many times */
	unsigned freezes_that_fail;
	/* What is ordered: at which pass; 0: nothing. */
	unsigned cut_over_pass, end_pass;
	/* What happened. */
	unsigned takes, freezes, thaws, checks, prepares;
	atomic_uint hold_backs, hold_backs_frozen; /* how often it was asked */
	unsigned lost_at[LIVE_DISKS]; /* the take */
	bool is_frozen;
	struct live_state state; /* the latest */
};

void live_server_init(struct live_server *server, uint64_t seed);
/* Thaws, and ends the writers. */
void live_server_deinit(struct live_server *server);

#endif
