/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of a machine's disks are to be captured, why the others are not, and
 * what a user should know before it starts.
 */
#ifndef CAPTURE_LAYOUT_H
#define CAPTURE_LAYOUT_H

#include <stdbool.h>

#include "p2v/base/json.h"
#include "p2v/base/machine.h"

/* Zero-initialised is fine. */
struct layout_options {
	const struct strv *chosen; /* devices that the user named: these, whatever they are, and no others */
};

struct layout_disk {
	const char *source; /* the machine's string */
	bool is_taken;
	char *why_not; /* in plain words; NULL if it is taken */
};

enum finding_level {
	FINDING_NOTE, /* good to know */
	FINDING_WARNING, /* the result may not be what is wanted */
	FINDING_STOP, /* it cannot work */
};

struct layout_finding {
	enum finding_level level;
	char *text; /* names the device */
	char *advice; /* NULL if nothing is to be done */
};

struct layout {
	struct layout_disk *disks; /* all of the machine's, in its order */
	size_t disk_count;
	struct layout_finding *findings;
	size_t finding_count, finding_capacity;
};

/* ERR_USAGE if a chosen device is none of the machine's.  The machine must outlive ret_layout. */
struct err *layout_choose(const struct machine *machine, const struct layout_options *options,
			  struct layout *ret_layout) ERR_MUST_CHECK;
void layout_deinit(struct layout *layout);
#define CLEANUP_LAYOUT CLEANUP(layout_deinit)

bool layout_takes(const struct layout *layout, const char *source);
const char *finding_level_name(enum finding_level level); /* "note", "warning", "stop" */
json_t *layout_to_json(const struct layout *layout); /* the caller's reference */

#endif
