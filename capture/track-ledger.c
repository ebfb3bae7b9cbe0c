/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel shows that a request is done, and counts it right after that, so
 * that what was seen is ahead of what was counted, by what is between the two.
 * The difference when nothing is lost is found at the start, as the smallest of
 * many looks, at moments when no request is in flight if the disk has such.  One such
 * moment does not do: who completes a request is easily interrupted between showing
 * and counting it, and then it is in flight no more.  It becomes smaller only by a loss.  On a busy disk what
 * comes in between two readings can hide a small loss for as long as it is busy: a disk at rest has no such
 * excuse, and only at rest is the answer LEDGER_EXACT.
 *
 * The kernel skips a program that an interrupt finds running, and says how often;
 * and there are kernels that hide a process of theirs, and then show no program
 * what happens in its time, interrupts included, and say nothing (seen on a 6.18
 * of a provider of virtual machines).  Then the count of ends is short, and the requests as
 * they were queued or given to the driver have to be complete instead, writes and discards each for itself.
 * Those are counted from a moment on when none was in flight.  They may only prove
 * that all is there, never that something is lost: requests that fail early
 * are queued, and others given to the driver twice.  While the disk is busy they
 * are ahead of what is counted and prove nothing yet, so that the answer waits.
 *
 * A discard's end may tell only how much was discarded, not all that was.  Where
 * a beginning can have been skipped, too, it is proof only if nothing was discarded.
 *
 * What is only known by its beginning may have been taken before it was on the
 * disk; who takes has to give it again when `unshown` grows (track-take.c).
 */
#include "capture/track-ledger.h"

#include <time.h>

#define OPEN_LOOKS 200
#define OPEN_RESTS 50
#define REST_LOOKS 20
#define PAUSE_NS 1000000

enum kind { WRITTEN, DISCARDED, KINDS };

static struct ledger_sum difference(const struct ledger_look *look, enum track_event event)
{
	return (struct ledger_sum){
		(int64_t)(look->seen.written_sectors[event] - look->stat.written_sectors),
		(int64_t)(look->seen.discarded_sectors[event] - look->stat.discarded_sectors),
	};
}

static struct ledger_sum minus(struct ledger_sum a, struct ledger_sum b)
{
	return (struct ledger_sum){a.written - b.written, a.discarded - b.discarded};
}

static bool is_short(struct ledger_sum sum)
{
	return sum.written < 0 || sum.discarded < 0;
}

static bool is_at_rest(const struct ledger_look *look)
{
	return look->is_steady && !look->stat.writes_in_flight;
}

static void set_base(struct ledger *ledger, const struct ledger_look *look, enum track_event event)
{
	ledger->events[event].is_open = true;
	ledger->events[event].base = difference(look, event);
	ledger->events[event].misses = look->misses[event];
}

static void set_bases(struct ledger *ledger, const struct ledger_look *look)
{
	for (int event = 0; event < TRACK_EVENTS; event++)
		set_base(ledger, look, event);
	ledger->discarded_sectors = look->stat.discarded_sectors;
	ledger->shortage = (struct ledger_sum){0};
}

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What others, taken earlier, began from is not to be trusted where this look shows less. */
static void lower_base(struct ledger *ledger, struct ledger_sum sum)
{
	struct ledger_sum *base = &ledger->events[TRACK_COMPLETE].base;

	base->written = smaller(base->written, sum.written);
	base->discarded = smaller(base->discarded, sum.discarded);
	ledger->events[TRACK_QUEUE].is_open = false;
	ledger->events[TRACK_ISSUE].is_open = false;
}

bool ledger_open(struct ledger *ledger, ledger_look_fn look, void *arg)
{
	unsigned rests = 0;

	*ledger = (struct ledger){0};
	for (int i = 0; i < OPEN_LOOKS && rests < OPEN_RESTS; i++) {
		struct ledger_look now;
		struct ledger_sum sum, above;

		if (i)
			pause_shortly();
		if (!look(arg, &now))
			return false;
		if (!i) {
			set_base(ledger, &now, TRACK_COMPLETE);
			ledger->discarded_sectors = now.stat.discarded_sectors;
		}
		sum = difference(&now, TRACK_COMPLETE);
		above = minus(sum, ledger->events[TRACK_COMPLETE].base);
		if (is_short(above)) {
			lower_base(ledger, sum);
			rests = 0;
		}
		/* Of the two, one may have come down while the other is above. */
		if (!is_at_rest(&now) || above.written > 0 || above.discarded > 0)
			continue;
		set_bases(ledger, &now);
		rests++;
	}
	return true;
}

static bool is_unbroken(const struct ledger *ledger, const struct ledger_look *look, enum track_event event)
{
	return ledger->events[event].is_open && ledger->events[event].misses == look->misses[event];
}

static struct ledger_sum above_base(const struct ledger *ledger, const struct ledger_look *look,
				    enum track_event event)
{
	return minus(difference(look, event), ledger->events[event].base);
}

static int64_t of_kind(struct ledger_sum sum, enum kind kind)
{
	return kind == WRITTEN ? sum.written : sum.discarded;
}

static bool is_proof(const struct ledger *ledger, const struct ledger_look *look, enum track_event event,
		     enum kind kind)
{
	return is_unbroken(ledger, look, event) && !of_kind(above_base(ledger, look, event), kind);
}

static bool is_each_beginning_seen(const struct ledger *ledger, const struct ledger_look *look,
				   enum kind kind)
{
	return is_proof(ledger, look, TRACK_QUEUE, kind) || is_proof(ledger, look, TRACK_ISSUE, kind);
}

static bool is_each_end_seen(const struct ledger *ledger, const struct ledger_look *look, enum kind kind)
{
	if (kind == DISCARDED && look->are_ends_vague &&
	    look->stat.discarded_sectors != ledger->discarded_sectors)
		return false;
	return is_proof(ledger, look, TRACK_COMPLETE, kind);
}

/* Whether, on a disk in use, this event may still turn out to be complete. */
static bool may_prove(const struct ledger *ledger, const struct ledger_look *look, enum track_event event,
		      enum kind kind)
{
	return is_unbroken(ledger, look, event) && of_kind(above_base(ledger, look, event), kind) >= 0;
}

static bool is_lost(const struct ledger *ledger, const struct ledger_look *look, enum kind kind)
{
	return of_kind(above_base(ledger, look, TRACK_COMPLETE), kind) < 0 &&
	       !may_prove(ledger, look, TRACK_QUEUE, kind) && !may_prove(ledger, look, TRACK_ISSUE, kind);
}

static uint64_t magnitude(struct ledger_sum sum)
{
	return (sum.written < 0 ? -sum.written : sum.written) +
	       (sum.discarded < 0 ? -sum.discarded : sum.discarded);
}

static void note_unshown(struct ledger *ledger, struct ledger_sum ends)
{
	struct ledger_sum now = {smaller(ledger->shortage.written, ends.written),
				 smaller(ledger->shortage.discarded, ends.discarded)};

	ledger->unshown += magnitude(minus(now, ledger->shortage));
	ledger->shortage = now;
}

static enum ledger_answer answer(struct ledger *ledger, const struct ledger_look *look, uint64_t *ret_sectors)
{
	struct ledger_sum ends = above_base(ledger, look, TRACK_COMPLETE);
	bool is_resting = is_at_rest(look), is_exact = is_resting;

	*ret_sectors = 0;
	note_unshown(ledger, ends);
	ledger->is_settled = is_resting;
	for (enum kind kind = 0; kind < KINDS; kind++) {
		bool is_seen = is_each_beginning_seen(ledger, look, kind);

		ledger->is_settled &= is_seen;
		is_exact &= is_seen || is_each_end_seen(ledger, look, kind);
	}
	if (is_exact)
		return LEDGER_EXACT;
	*ret_sectors = magnitude(ends);
	if (is_resting)
		return is_short(ends) ? LEDGER_SHORT : LEDGER_OVER;
	return is_lost(ledger, look, WRITTEN) || is_lost(ledger, look, DISCARDED) ? LEDGER_SHORT
										  : LEDGER_OPEN;
}

enum ledger_answer ledger_check(struct ledger *ledger, ledger_look_fn look, void *arg, uint64_t *ret_sectors)
{
	enum ledger_answer found = LEDGER_OPEN;
	struct ledger_look now;

	/* A request may be seen and not counted yet, so that a disk at rest is looked at again. */
	for (int i = 0; i < REST_LOOKS; i++) {
		if (!look(arg, &now))
			return LEDGER_GONE;
		found = answer(ledger, &now, ret_sectors);
		if (found == LEDGER_EXACT || !is_at_rest(&now))
			break;
		pause_shortly();
	}
	if (found == LEDGER_EXACT)
		set_bases(ledger, &now);
	return found;
}
