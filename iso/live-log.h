/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What has happened since the start, in a file in memory: the newest 1 to 2 MiB, for the support bundle. */
#ifndef ISO_LIVE_LOG_H
#define ISO_LIVE_LOG_H

#include "p2v/base/log.h"

#define LIVE_LOG_FILE "live.log" /* in the folder; what is older in the same with ".1" */

struct live_log;
struct live_log *live_log_open(const char *folder);
void live_log_close(struct live_log *log); /* takes NULL */

/* As others write to it; lasts as long. */
const struct log *live_log_as_log(const struct live_log *log);

#endif
