/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v scan: how a capture of this machine while it works would know what is written meanwhile. */
#include "p2v/cmd/scan-tracking.h"

#include <stdio.h>

#include "capture/track.h"
#include "p2v/base/mem.h"

/* Begins to track the disks that a capture takes, as that is the only way to know. */
static struct err *start(const struct machine *machine, const struct layout *layout,
			 struct tracker **ret_tracker)
{
	CLEANUP_FREE const char **devices = xcalloc(machine->disk_count, sizeof *devices);
	size_t count = 0;

	for (size_t i = 0; i < machine->disk_count; i++)
		if (layout->disks[i].is_taken)
			devices[count++] = machine->disks[i].source;
	if (!count)
		return err_refused("no disk is taken");
	return tracker_start(devices, count, &(struct tracker_options){0}, ret_tracker);
}

void scan_print_tracking(const struct machine *machine, const struct layout *layout)
{
	CLEANUP_TRACKER struct tracker *tracker = NULL;
	CLEANUP_ERR struct err *err = start(machine, layout, &tracker);

	if (err)
		printf("\ntracking of writes: not known: %s\n", err_message(err));
	else
		printf("\ntracking of writes: by %s: %s\n", tracker_tier_name(tracker_tier(tracker)),
		       tracker_describe(tracker));
}

json_t *scan_tracking_to_json(const struct machine *machine, const struct layout *layout)
{
	CLEANUP_TRACKER struct tracker *tracker = NULL;
	CLEANUP_ERR struct err *err = start(machine, layout, &tracker);
	json_t *json;

	if (!err)
		return tracker_to_json(tracker);
	json = json_object();
	json_set_string(json, "error", err_message(err));
	return json;
}
