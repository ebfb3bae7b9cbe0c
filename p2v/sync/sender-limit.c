/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All lanes book time on one line, one behind the other; who has booked later time sleeps until then. */
#include <time.h>

#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

#define NS_PER_SECOND 1000000000ull

void limiter_wait(struct limiter *limiter, size_t bytes)
{
	uint64_t now_ns = run_now_ns(), start_ns;
	struct timespec pause;

	if (!limiter->bytes_per_second)
		return;
	{
		LOCKED(&limiter->lock);
		if (limiter->next_ns < now_ns)
			limiter->next_ns = now_ns;
		start_ns = limiter->next_ns;
		limiter->next_ns += (double)bytes * NS_PER_SECOND / limiter->bytes_per_second;
	}
	if (start_ns <= now_ns)
		return;
	pause.tv_sec = (start_ns - now_ns) / NS_PER_SECOND;
	pause.tv_nsec = (start_ns - now_ns) % NS_PER_SECOND;
	nanosleep(&pause, NULL);
}
