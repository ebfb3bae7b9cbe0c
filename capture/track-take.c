/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking what was written.
 *
 * A request is marked when it is done, behind the moment when its bytes reached
 * the disk: so the mark is there after any read that did not see them.  Where
 * the kernel did not show an end, and for discards of which a tier knows only
 * the beginning, the mark is of the request's beginning, and may have been taken
 * before its bytes arrived.  Then a take gives again what earlier takes gave, of
 * requests that were in flight; what that is is known only when the ledger shows
 * that all that began is done, so it adds up until then.
 */
#include <inttypes.h>

#include "capture/track-impl.h"
#include "p2v/base/mem.h"

static void replace(struct extents *set, const struct extents *with)
{
	extents_deinit(set);
	extents_unite(set, with);
}

/* Keeps in `carried` what this take may have taken too early. */
static void carry(struct extents *carried, const struct extents *taken, bool is_settled)
{
	if (is_settled)
		replace(carried, taken);
	else
		extents_unite(carried, taken);
}

/* Behind a look into the ledger: what that did not know of yet concerns the next take. */
static void take_marked(struct tracker *tracker, struct track_disk *disk, struct extents *ret_changed,
			struct extents *ret_discarded)
{
	bool are_discards_vague = tracker->tier->flags & TRACK_TIER_VAGUE_DISCARDS;
	bool are_ends_missing = disk->ledger.unshown != disk->unshown;
	CLEANUP_EXTENTS struct extents written = {0};
	CLEANUP_EXTENTS struct extents discarded = {0};

	track_area_take(&disk->written, tracker->cells, disk->size_bytes, &written);
	track_area_take(&disk->discarded, tracker->cells, disk->size_bytes, &discarded);
	extents_unite(ret_changed, &written);
	extents_unite(ret_discarded, &discarded);
	if (are_ends_missing)
		extents_unite(ret_changed, &disk->carried_written);
	if (are_ends_missing || are_discards_vague)
		extents_unite(ret_discarded, &disk->carried_discarded);
	if (are_ends_missing)
		log_debug(tracker->log,
			  "%s: the kernel did not show the end of %" PRIu64
			  " sectors; what may have been in flight is given again",
			  disk->device, disk->ledger.unshown - disk->unshown);
	carry(&disk->carried_written, &written, disk->ledger.is_settled);
	carry(&disk->carried_discarded, &discarded, disk->ledger.is_settled);
	disk->unshown = disk->ledger.unshown;
}

bool tracker_take(struct tracker *tracker, size_t index, struct extents *ret_changed,
		  struct extents *ret_discarded)
{
	struct track_disk *disk = &tracker->disks[index];
	struct tracker_verdict verdict;

	tracker_check(tracker, index, &verdict);
	if (verdict.certainty != TRACKER_IN_DOUBT) {
		take_marked(tracker, disk, ret_changed, ret_discarded);
		return true;
	}
	/* The ledger is opened before the marks go: what it does not know of is read from now on. */
	track_begin_anew(tracker, index);
	if (!disk->objection)
		take_marked(tracker, disk, ret_changed, ret_discarded);
	extents_add(ret_changed, 0, disk->size_bytes);
	return false;
}
