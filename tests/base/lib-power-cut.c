// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Changes that are durable, and all before them, are applied to a base device;
 * the rest is a short list.  A state is an overlay over the base, to which some
 * of the list was applied in order.
 */
#include "tests/base/lib-power-cut.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-overlay.h"
#include "tests/base/lib-rng.h"

#define SECTOR 512u

struct pending {
	const struct recorded *event;
	bool durable; /* must be there, but an older change need not */
};

/* Which of the changes that are not durable are there. */
enum choice { NOTHING, ALL, PREFIX, ONE_LOST, ONE_THERE, SOME, SOME_SECTORS, CHOICES };

struct choice_detail {
	enum choice choice;
	size_t which; /* PREFIX: how many; ONE_…: which one */
	bool sizes_clip; /* what lies behind a lost size is lost */
	uint64_t seed;
};

struct power_cut {
	const struct recording *recording;
	struct rng rng;
	uint64_t time;
	size_t next; /* event that has not begun */
	struct pending *pending;
	size_t pending_count, pending_capacity;
	unsigned device_count;
	struct blk **bases;
	uint64_t *base_hashes;
	struct choice_detail chosen;
};

struct power_cut *power_cut_create(const struct recording *recording, uint64_t seed)
{
	struct power_cut *cut = xcalloc(1, sizeof *cut);

	cut->recording = recording;
	cut->rng.state = seed;
	cut->device_count = recording_device_count(recording);
	cut->bases = xcalloc(cut->device_count, sizeof *cut->bases);
	cut->base_hashes = xcalloc(cut->device_count, sizeof *cut->base_hashes);
	for (unsigned i = 0; i < cut->device_count; i++) {
		cut->bases[i] = overlay_copy_of(recording_start(recording, i));
		cut->base_hashes[i] = overlay_hash(cut->bases[i], 0);
	}
	return cut;
}

void power_cut_destroy(struct power_cut *cut)
{
	if (!cut)
		return;
	for (unsigned i = 0; i < cut->device_count; i++)
		err_free(blk_close(cut->bases[i]));
	free(cut->bases);
	free(cut->base_hashes);
	free(cut->pending);
	free(cut);
}

static void apply_range(const struct recorded *event, struct blk *to, uint64_t start, uint64_t end, bool clip)
{
	if (end > to->size_bytes && clip)
		end = to->size_bytes;
	if (start >= end)
		return;
	if (end > to->size_bytes)
		must(blk_resize(to, end));
	if (event->kind == RECORDED_ZERO)
		must(blk_zero(to, end - start, start, 0));
	else
		must(blk_pwrite(to, event->data + (start - event->offset), end - start, start, 0));
}

static void apply(const struct recorded *event, struct blk *to, bool clip)
{
	if (event->kind == RECORDED_RESIZE)
		must(blk_resize(to, event->len_bytes));
	else
		apply_range(event, to, event->offset, event->offset + event->len_bytes, clip);
}

/* Runs of sectors of a change, each there or not. */
static void apply_torn(const struct recorded *event, struct blk *to, struct rng *rng, bool clip)
{
	uint64_t end = event->offset + event->len_bytes;

	if (event->kind == RECORDED_RESIZE) {
		if (rng_below(rng, 2))
			apply(event, to, clip);
		return;
	}
	for (uint64_t start = event->offset, next; start < end; start = next) {
		uint64_t longest = rng_below(rng, 4) ? 64 : 2;

		next = (start / SECTOR + 1 + rng_below(rng, longest)) * SECTOR;
		if (next > end)
			next = end;
		if (rng_below(rng, 2))
			apply_range(event, to, start, next, clip);
	}
}

/* A flush covers what had returned before it began. */
static void note_flush(struct power_cut *cut, const struct recorded *flush)
{
	for (size_t i = 0; i < cut->pending_count; i++) {
		const struct recorded *event = cut->pending[i].event;

		if (event->device == flush->device && event->end < flush->begin)
			cut->pending[i].durable = true;
	}
}

/* The base takes over what is durable up to the first change that is not. */
static void settle(struct power_cut *cut)
{
	bool *blocked = xcalloc(cut->device_count, sizeof *blocked);
	size_t kept = 0;

	for (size_t i = 0; i < cut->pending_count; i++) {
		const struct recorded *event = cut->pending[i].event;

		if (cut->pending[i].durable && !blocked[event->device]) {
			apply(event, cut->bases[event->device], false);
			/* Marks the hash as out of date; it is taken anew when it is needed. */
			cut->base_hashes[event->device] = 0;
		} else {
			blocked[event->device] = true;
			cut->pending[kept++] = cut->pending[i];
		}
	}
	cut->pending_count = kept;
	free(blocked);
}

static void begin_events(struct power_cut *cut)
{
	size_t count;
	const struct recorded *events = recording_events(cut->recording, &count);

	while (cut->next < count && events[cut->next].begin <= cut->time) {
		const struct recorded *event = &events[cut->next++];

		if (event->kind == RECORDED_FLUSH)
			continue;
		array_grow(cut->pending, cut->pending_count, cut->pending_capacity);
		cut->pending[cut->pending_count++] = (struct pending){event, false};
	}
}

bool power_cut_advance(struct power_cut *cut, uint64_t time)
{
	size_t count;
	const struct recorded *events = recording_events(cut->recording, &count);
	uint64_t before = cut->time, last = 0;

	cut->time = time;
	begin_events(cut);
	for (size_t i = 0; i < count; i++) {
		if (events[i].kind == RECORDED_FLUSH && events[i].end > before && events[i].end <= time)
			note_flush(cut, &events[i]);
		if (events[i].end != RECORDING_NEVER && events[i].end > last)
			last = events[i].end;
	}
	for (size_t i = 0; i < cut->pending_count; i++)
		if (cut->pending[i].event->fua && cut->pending[i].event->end <= time)
			cut->pending[i].durable = true;
	settle(cut);
	return time <= last;
}

size_t power_cut_pending(const struct power_cut *cut)
{
	size_t count = 0;

	for (size_t i = 0; i < cut->pending_count; i++)
		count += !cut->pending[i].durable;
	return count;
}

static bool is_there(const struct choice_detail *chosen, size_t i, struct rng *rng)
{
	switch (chosen->choice) {
	case ALL:
		return true;
	case PREFIX:
		return i < chosen->which;
	case ONE_LOST:
		return i != chosen->which;
	case ONE_THERE:
		return i == chosen->which;
	case SOME:
		return rng_below(rng, 2);
	default:
		return false;
	}
}

struct blk *power_cut_leave(struct power_cut *cut, unsigned device)
{
	struct blk *left = overlay_create(cut->bases[device]);
	struct rng rng = {.state = cut->chosen.seed};

	for (size_t i = 0; i < cut->pending_count; i++) {
		const struct recorded *event = cut->pending[i].event;
		bool there = is_there(&cut->chosen, i, &rng);
		bool torn = cut->chosen.choice == SOME_SECTORS ||
			    (cut->chosen.choice == PREFIX && i == cut->chosen.which);

		if (event->device != device)
			continue;
		if (cut->pending[i].durable)
			apply(event, left, false);
		else if (torn)
			apply_torn(event, left, &rng, cut->chosen.sizes_clip);
		else if (there)
			apply(event, left, cut->chosen.sizes_clip);
	}
	return left;
}

void power_cut_choose(struct power_cut *cut, uint64_t *ret_hash)
{
	uint64_t hash = 0;

	cut->chosen = (struct choice_detail){
		.choice = (enum choice)rng_below(&cut->rng, CHOICES),
		.which = cut->pending_count ? rng_below(&cut->rng, cut->pending_count) : 0,
		.sizes_clip = rng_below(&cut->rng, 2),
		.seed = rng_next(&cut->rng),
	};
	for (unsigned i = 0; i < cut->device_count; i++) {
		struct blk *left = power_cut_leave(cut, i);

		if (!cut->base_hashes[i])
			cut->base_hashes[i] = overlay_hash(cut->bases[i], 0);
		hash = hash * 31 + overlay_hash(left, cut->base_hashes[i]);
		err_free(blk_close(left));
	}
	*ret_hash = hash;
}

char *power_cut_describe(const struct power_cut *cut)
{
	static const char *const names[CHOICES] = {"nothing",  "all",  "a prefix",    "all but one",
						   "only one", "some", "some sectors"};

	return xasprintf("cut at time %" PRIu64 " with %zu changes not durable: %s of them left (%zu)",
			 cut->time, power_cut_pending(cut), names[cut->chosen.choice], cut->chosen.which);
}
