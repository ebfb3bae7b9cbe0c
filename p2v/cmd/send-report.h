/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v send tells of its disks and of the result. */
#ifndef P2V_CMD_SEND_REPORT_H
#define P2V_CMD_SEND_REPORT_H

#include <stdbool.h>

#include "p2v/base/log.h"
#include "p2v/cmd/send-disks.h"
#include "p2v/sync/sender.h"

/* For who shows the progress, a line of JSON on standard error: the disks in the order in which they are
 * sent.
 */
void send_report_disks(const struct send_disks *disks);

/* Warnings: what --in-use lets happen, and what --on-read-error zero does. */
void send_report_changes(const struct send_disks *disks, const struct log *log);
void send_report_unreadable(const struct send_disks *disks, const struct sender_result *result,
			    const struct log *log);

/* The result on standard output, for people or as JSON.  ERR_FAILED: it cannot be written. */
struct err *send_report(const char *job, bool as_json, const struct send_disks *disks,
			const struct sender_result *result);

#endif
