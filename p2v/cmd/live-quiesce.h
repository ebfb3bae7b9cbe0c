/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Services that are brought to rest before a server is frozen, so that its copy begins with as little repair
 *as possible, and that go on where the cutover fails.
 *
 *	postgresql[:FOLDER]	a checkpoint, of each cluster that has its socket there
 *	mariadb[:SOCKET]	all tables are flushed, and locked for writing; MySQL too
 *	unit:NAME		the systemd unit is stopped
 *
 * Whatever ends us, they go on, too: unless it was said that they are to stay so.
 */
#ifndef P2V_CMD_LIVE_QUIESCE_H
#define P2V_CMD_LIVE_QUIESCE_H

#include "p2v/base/err.h"
#include "p2v/base/log.h"
#include "p2v/base/strv.h"

struct live_quiesce;

/* Looks whether each of them is there, and answers.  ERR_USAGE: it is none of the above; ERR_REFUSED: it
 * cannot work.  The log must live as long. */
struct err *live_quiesce_create(const struct strv *services, const struct log *log,
				struct live_quiesce **ret_quiesce) ERR_MUST_CHECK;
/* Undoes what is to be undone still.  Takes NULL. */
void live_quiesce_destroy(struct live_quiesce *quiesce);

/* In their order.  After an error some of them may be at rest. */
struct err *live_quiesce_begin(struct live_quiesce *quiesce) ERR_MUST_CHECK;
/* They go on, the last one first; what fails is warned of. */
void live_quiesce_undo(struct live_quiesce *quiesce);
/* They do not go on by anything of ours any more. */
void live_quiesce_keep(struct live_quiesce *quiesce);

#endif
