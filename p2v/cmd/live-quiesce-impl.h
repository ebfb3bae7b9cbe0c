/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kinds of services: for live-quiesce*.c alone. */
#ifndef P2V_CMD_LIVE_QUIESCE_IMPL_H
#define P2V_CMD_LIVE_QUIESCE_IMPL_H

#include "p2v/cmd/live-quiesce.h"

#define QUIESCE_LIMIT_NS 120000000000ull /* for each step of one service */

struct quiesce_service {
	const struct quiesce_kind *kind;
	char *argument; /* what stands behind the colon; NULL: nothing */
	const struct log *log;
	bool is_begun;
	void *state; /* the kind's, from begin() to undo() or keep() */
};

struct quiesce_kind {
	const char *name;
	bool needs_argument;
	struct err *(*check)(const struct quiesce_service *service); /* that it is there */
	struct err *(*begin)(struct quiesce_service *service);
	/* NULL: there is nothing to undo.  Also called where begin() has failed. */
	struct err *(*undo)(struct quiesce_service *service);
	void (*keep)(struct quiesce_service *service); /* NULL: as undo() */
};

extern const struct quiesce_kind quiesce_postgresql, quiesce_mariadb, quiesce_unit;

#endif
