/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All lanes book time on one line, one behind the other; who has booked later time sleeps until then. */
#include <time.h>

#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

#define NS_PER_SECOND 1000000000ull
#define MAX_SLEEP_NS 200000000ull /* before another look at whether all of it ends */

void limiter_wait(struct limiter *limiter, size_t bytes, const atomic_bool *stopping)
{
	uint64_t now_ns = run_now_ns(), start_ns;
	if (!limiter->bytes_per_second)
		return;
	{
		LOCKED(&limiter->lock);
		if (limiter->next_ns < now_ns)
			limiter->next_ns = now_ns;
		start_ns = limiter->next_ns;
		limiter->next_ns += (double)bytes * NS_PER_SECOND / limiter->bytes_per_second;
	}
	for (; now_ns < start_ns && !*stopping; now_ns = run_now_ns()) {
		uint64_t left_ns = start_ns - now_ns < MAX_SLEEP_NS ? start_ns - now_ns : MAX_SLEEP_NS;

		nanosleep(&(struct timespec){.tv_nsec = (long)left_ns}, NULL);
	}
}
