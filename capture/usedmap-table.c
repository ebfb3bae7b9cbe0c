/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/usedmap-table.h"

#include <stdlib.h>

#include "p2v/base/mem.h"

/*
 * Kept of every gap: boot loaders live before the first partition, and Windows' dynamic disks, DDF and Intel
 * RAID at the very end, so gaps up to this size are kept whole and of longer ones this much at each end.
 */
#define KEPT_OF_GAP_BYTES (16u << 20)

void table_add(struct table *table, unsigned number, uint64_t start, uint64_t end)
{
	array_grow(table->partitions, table->count, table->capacity);
	table->partitions[table->count++] = (struct table_partition){number, start, end};
}

void table_deinit(struct table *table)
{
	free(table->partitions);
	extents_deinit(&table->kept);
	*table = (struct table){0};
}

static int compare_partitions(const void *a, const void *b)
{
	uint64_t x = ((const struct table_partition *)a)->start;
	uint64_t y = ((const struct table_partition *)b)->start;

	return x < y ? -1 : x > y;
}

static void add_gap(struct usedmap_walk *walk, const struct table *table, uint64_t start, uint64_t end,
		    struct extents *ret_used)
{
	if (start >= end)
		return;
	if (!(table->flags & TABLE_GAPS_ARE_FREE) || usedmap_flags(walk) & USEDMAP_KEEP_GAPS ||
	    end - start <= 2 * KEPT_OF_GAP_BYTES) {
		extents_add(ret_used, start, end);
		return;
	}
	extents_add(ret_used, start, start + KEPT_OF_GAP_BYTES);
	extents_add(ret_used, end - KEPT_OF_GAP_BYTES, end);
}

static struct err *map_partition(struct usedmap_walk *walk, struct blk *blk,
				 const struct table_partition *partition, struct extents *ret_used)
{
	CLEANUP_FREE char *label = xasprintf("partition %u", partition->number);
	struct view_run run = {partition->start, partition->end - partition->start};

	return usedmap_nested(walk, blk, &run, 1, label, ret_used);
}

struct err *table_map(struct usedmap_walk *walk, struct blk *blk, struct table *table,
		      struct extents *ret_used)
{
	uint64_t at = 0;

	if (table->count > 1)
		qsort(table->partitions, table->count, sizeof *table->partitions, compare_partitions);
	for (size_t i = 0; i < table->count; i++) {
		const struct table_partition *partition = &table->partitions[i];

		if (partition->start < at)
			return usedmap_doubt("its partition %u overlaps another", partition->number);
		add_gap(walk, table, at, partition->start, ret_used);
		TRY(map_partition(walk, blk, partition, ret_used));
		at = partition->end;
	}
	add_gap(walk, table, at, blk->size_bytes, ret_used);
	for (size_t i = 0; i < table->kept.count; i++)
		extents_add(ret_used, table->kept.ranges[i].start, table->kept.ranges[i].end);
	return NULL;
}
