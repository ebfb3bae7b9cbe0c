/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How lanes keep out of the way of a server that works.  They read when nobody
 * else does (the idle class, where the disk's scheduler has it), leave processors
 * to all others, and pause while writers wait longer than they should, which the
 * source tells.  When the server is frozen, and waits for us, none of it holds.
 *
 * A pause is a multiple of the time that the read before it took: so of all the
 * time that a disk has, a lane takes 1 / (level + 1).
 */
#include <errno.h>
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

#define NICE 15
#define MAX_PAUSE_NS 1000000000ull
#define MAX_SLEEP_NS 200000000ull /* before another look at whether all of it ends */

/* Both are a thread's own on Linux; 0 is the one that calls. */
static void set_priorities(int io_priority, int niceness)
{
	/* What is not allowed is not done: it is no reason to fail. */
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, io_priority);
	setpriority(PRIO_PROCESS, 0, niceness);
}

void gentle_init(struct gentle *gentle)
{
	long io_priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	int niceness;

	errno = 0;
	niceness = getpriority(PRIO_PROCESS, 0);
	*gentle = (struct gentle){
		.io_priority = io_priority < 0 ? 0 : io_priority,
		.niceness = errno ? 0 : niceness,
	};
}

void gentle_set(struct gentle *gentle, bool is_gentle)
{
	if (gentle->is_gentle == is_gentle)
		return;
	gentle->is_gentle = is_gentle;
	if (is_gentle)
		set_priorities(IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0),
			       gentle->niceness > NICE ? gentle->niceness : NICE);
	else
		set_priorities(gentle->io_priority, gentle->niceness);
}

uint64_t gentle_pause_ns(unsigned level, uint64_t took_ns)
{
	uint64_t pause_ns;

	if (__builtin_mul_overflow(took_ns, level, &pause_ns) || pause_ns > MAX_PAUSE_NS)
		return MAX_PAUSE_NS;
	return pause_ns;
}

void gentle_pause(struct run *run, uint64_t took_ns)
{
	uint64_t start_ns = run_now_ns(), end_ns = start_ns + gentle_pause_ns(run->hold_back, took_ns),
		 now_ns;

	if (!run->hold_back || run->is_urgent)
		return;
	for (now_ns = start_ns; now_ns < end_ns && !run->stopping && !run->is_urgent; now_ns = run_now_ns()) {
		uint64_t left_ns = end_ns - now_ns < MAX_SLEEP_NS ? end_ns - now_ns : MAX_SLEEP_NS;

		nanosleep(&(struct timespec){.tv_nsec = (long)left_ns}, NULL);
	}
	run->held_ns += now_ns - start_ns;
}
