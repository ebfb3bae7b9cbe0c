/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tables of partitions, MBR and GPT, share. */
#ifndef CAPTURE_USEDMAP_TABLE_H
#define CAPTURE_USEDMAP_TABLE_H

#include "capture/usedmap-impl.h"

struct table_partition {
	unsigned number;
	uint64_t start, end; /* bytes of the disk */
};

struct table {
	struct table_partition *partitions; /* sorted by table_map() */
	size_t count, capacity;
	struct extents kept; /* the table itself */
	unsigned flags;
};

#define TABLE_GAPS_ARE_FREE (1u << 0) /* large gaps hold nothing */

void table_add(struct table *table, unsigned number, uint64_t start, uint64_t end);
void table_deinit(struct table *table);
#define CLEANUP_TABLE CLEANUP(table_deinit)

/* Maps every partition and the gaps between them; a doubt if partitions overlap. */
struct err *table_map(struct usedmap_walk *walk, struct blk *blk, struct table *table,
		      struct extents *ret_used) ERR_MUST_CHECK;

#endif
