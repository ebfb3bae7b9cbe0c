/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/live-neighbour.h"

#include <stdlib.h>

#include "capture/latency.h"
#include "capture/weight.h"
#include "p2v/base/mem.h"

struct live_neighbour {
	const struct log *log;
	struct latency_gauge *gauge;
	struct weight *weight;
	bool was_told; /* that the disk is busy */
};

struct err *live_neighbour_create(const struct send_disks *disks, const struct log *log,
				  struct live_neighbour **ret_neighbour)
{
	CLEANUP_FREE const char **devices = xcalloc(disks->count, sizeof *devices);
	struct live_neighbour *neighbour;
	struct latency_gauge *gauge;

	for (size_t i = 0; i < disks->count; i++)
		devices[i] = disks->disks[i].path;
	TRY(latency_open(devices, disks->count, &gauge));
	neighbour = xcalloc(1, sizeof *neighbour);
	neighbour->log = log;
	neighbour->gauge = gauge;
	neighbour->weight = weight_create("", log);
	weight_lower(neighbour->weight);
	*ret_neighbour = neighbour;
	return NULL;
}

void live_neighbour_destroy(struct live_neighbour *neighbour)
{
	if (!neighbour)
		return;
	latency_close(neighbour->gauge);
	weight_destroy(neighbour->weight);
	free(neighbour);
}

unsigned live_neighbour_level(struct live_neighbour *neighbour)
{
	unsigned level = latency_level(neighbour->gauge);

	if (level && !neighbour->was_told)
		log_info(neighbour->log,
			 "the server's writes take longer than before: reading is slowed down "
			 "while they do");
	neighbour->was_told |= level;
	return level;
}

void live_neighbour_hurry(struct live_neighbour *neighbour, bool is_urgent)
{
	if (is_urgent)
		weight_restore(neighbour->weight);
	else
		weight_lower(neighbour->weight);
}
