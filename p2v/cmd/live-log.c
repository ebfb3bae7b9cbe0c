/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/live-log.h"

static void write_message(void *arg, enum log_level level, const char *message)
{
	struct live_log *live_log = arg;
	LOCKED(&live_log->lock);

	if (live_log->is_held)
		strv_addf(&live_log->held, "%c%s", '0' + (int)level, message);
	else
		live_log->to->write(live_log->to->arg, level, message);
}

void live_log_init(struct live_log *live_log, const struct log *to)
{
	*live_log = (struct live_log){.log = {write_message, live_log, to->max_level}, .to = to};
	pthread_mutex_init(&live_log->lock, NULL);
}

void live_log_deinit(struct live_log *live_log)
{
	strv_deinit(&live_log->held);
	pthread_mutex_destroy(&live_log->lock);
}

void live_log_hold(struct live_log *live_log)
{
	LOCKED(&live_log->lock);

	live_log->is_held = true;
}

void live_log_release(struct live_log *live_log)
{
	LOCKED(&live_log->lock);

	live_log->is_held = false;
	for (size_t i = 0; i < live_log->held.count; i++) {
		const char *message = live_log->held.items[i];

		live_log->to->write(live_log->to->arg, (enum log_level)(message[0] - '0'), message + 1);
	}
	strv_deinit(&live_log->held);
	live_log->held = (struct strv){0};
}
