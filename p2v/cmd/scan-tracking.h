/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How writes to the disks that a capture takes would be tracked, as a line and as JSON. */
#ifndef P2V_CMD_SCAN_TRACKING_H
#define P2V_CMD_SCAN_TRACKING_H

#include "capture/layout.h"

void scan_print_tracking(const struct machine *machine, const struct layout *layout);
json_t *scan_tracking_to_json(const struct machine *machine, const struct layout *layout); /* the caller's */

#endif
