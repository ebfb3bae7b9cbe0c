/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel shows that a request is done, and counts it right after that, so
 * that what was seen is ahead of what was counted, by what is between the two.
 * The difference when nothing is lost is found at the start: at a moment when no
 * request is in flight, or else, on a disk that has no such moment, as the
 * smallest of many looks.  It becomes smaller only by a loss.  On a busy disk what comes in
 * between two readings can hide a small loss for as long as it is busy: a disk
 * at rest has no such excuse, and only at rest is the answer LEDGER_EXACT.
 *
 * The kernel skips a program that an interrupt finds running.  If it skipped any
 * call at a request's end, the count of this event is short, and the requests as
 * they were queued or given to the driver have to be complete instead.  Those
 * are counted from a moment on when none was in flight.  They may only prove
 * that all is there, never that something is lost: requests that fail early
 * are queued, and others given to the driver twice.
 */
#include "capture/track-ledger.h"

#include <time.h>

#define OPEN_LOOKS 200
#define REST_LOOKS 20
#define PAUSE_NS 1000000

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

static bool is_zero(struct ledger_sum sum)
{
	return !sum.written && !sum.discarded;
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

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

bool ledger_open(struct ledger *ledger, ledger_look_fn look, void *arg)
{
	struct ledger_sum *base = &ledger->events[TRACK_COMPLETE].base, sum;
	struct ledger_look now;

	*ledger = (struct ledger){0};
	for (int i = 0; i < OPEN_LOOKS; i++) {
		if (!look(arg, &now))
			return false;
		if (is_at_rest(&now)) {
			for (int event = 0; event < TRACK_EVENTS; event++)
				set_base(ledger, &now, event);
			return true;
		}
		if (!i)
			set_base(ledger, &now, TRACK_COMPLETE);
		sum = difference(&now, TRACK_COMPLETE);
		base->written = smaller(base->written, sum.written);
		base->discarded = smaller(base->discarded, sum.discarded);
		pause_shortly();
	}
	return true;
}

static bool is_unbroken(const struct ledger *ledger, const struct ledger_look *look, enum track_event event)
{
	return ledger->events[event].is_open && ledger->events[event].misses == look->misses[event];
}

static bool is_proof(const struct ledger *ledger, const struct ledger_look *look, enum track_event event)
{
	return is_unbroken(ledger, look, event) &&
	       is_zero(minus(difference(look, event), ledger->events[event].base));
}

/* The others stand in only for what the kernel said that it skipped: then takes know of it, too. */
static bool is_proven(const struct ledger *ledger, const struct ledger_look *look)
{
	if (is_unbroken(ledger, look, TRACK_COMPLETE))
		return is_proof(ledger, look, TRACK_COMPLETE);
	return is_proof(ledger, look, TRACK_QUEUE) || is_proof(ledger, look, TRACK_ISSUE);
}

static uint64_t magnitude(struct ledger_sum sum)
{
	return (sum.written < 0 ? -sum.written : sum.written) +
	       (sum.discarded < 0 ? -sum.discarded : sum.discarded);
}

static enum ledger_answer answer(const struct ledger *ledger, const struct ledger_look *look,
				 uint64_t *ret_sectors)
{
	struct ledger_sum sum = minus(difference(look, TRACK_COMPLETE), ledger->events[TRACK_COMPLETE].base);

	*ret_sectors = 0;
	if (is_at_rest(look) && is_proven(ledger, look))
		return LEDGER_EXACT;
	*ret_sectors = magnitude(sum);
	if (is_unbroken(ledger, look, TRACK_COMPLETE) && is_short(sum))
		return LEDGER_SHORT;
	if (!is_at_rest(look))
		return LEDGER_OPEN;
	return is_short(sum) ? LEDGER_SHORT : LEDGER_OVER;
}

enum ledger_answer ledger_check(struct ledger *ledger, ledger_look_fn look, void *arg, uint64_t *ret_sectors)
{
	enum ledger_answer found = LEDGER_OPEN;
	struct ledger_look now;

	/* A request may be seen and not counted yet, so that what is over at rest is looked at again. */
	for (int i = 0; i < REST_LOOKS; i++) {
		if (!look(arg, &now))
			return LEDGER_GONE;
		found = answer(ledger, &now, ret_sectors);
		if (found != LEDGER_OVER)
			break;
		pause_shortly();
	}
	if (found == LEDGER_EXACT)
		for (int event = 0; event < TRACK_EVENTS; event++)
			set_base(ledger, &now, event);
	return found;
}
