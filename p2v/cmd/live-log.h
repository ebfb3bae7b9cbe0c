/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that wait in memory while file systems are frozen: where they go may be one of these. */
#ifndef P2V_CMD_LIVE_LOG_H
#define P2V_CMD_LIVE_LOG_H

#include <pthread.h>
#include <stdbool.h>

#include "p2v/base/log.h"
#include "p2v/base/strv.h"

struct live_log {
	struct log log; /* for who has something to say */
	const struct log *to;
	pthread_mutex_t lock; /* what follows */
	bool is_held;
	struct strv held; /* the level, a digit, and the message */
};

void live_log_init(struct live_log *live_log, const struct log *to);
void live_log_deinit(struct live_log *live_log); /* what is held is lost */
void live_log_hold(struct live_log *live_log);
/* What has waited goes its way. */
void live_log_release(struct live_log *live_log);

#endif
