/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether anything may have been missed.
 *
 * There are two kinds of trouble.  A disk that is gone, resized, exchanged or of
 * a kind that cannot be followed has an objection, for good.  Everything else is
 * a doubt about the time since tracking began anew: the next take gives the
 * whole disk and begins anew.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture/track-impl.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"

bool track_look(void *arg, struct ledger_look *ret_look)
{
	const struct track_look *look = arg;
	struct tracker *tracker = look->tracker;
	struct track_disk *disk = &tracker->disks[look->disk];
	struct track_stat stat;
	struct track_counts seen;

	*ret_look = (struct ledger_look){0};
	if (!track_stat_look_counters(disk->reader, &stat))
		return false;
	tracker->tier->look(tracker, look->disk, &seen);
	ret_look->stat = stat;
	if (!track_stat_look_counters(disk->reader, &ret_look->stat))
		return false;
	tracker->tier->look(tracker, look->disk, &ret_look->seen);
	ret_look->is_steady = !memcmp(&seen, &ret_look->seen, sizeof seen) &&
			      stat.written_sectors == ret_look->stat.written_sectors &&
			      stat.discarded_sectors == ret_look->stat.discarded_sectors &&
			      stat.writes_in_flight == ret_look->stat.writes_in_flight;
	tracker->tier->look_misses(tracker, ret_look->misses);
	ret_look->are_ends_vague = tracker->tier->flags & TRACK_TIER_SKIPPED_DISCARDS;
	return true;
}

void track_doubt(struct tracker *tracker, struct track_disk *disk, char *text)
{
	size_t i = 0;

	while (i < disk->doubt_count && strcmp(disk->doubts[i].text, text))
		i++;
	if (i == disk->doubt_count) {
		log_warning(tracker->log, "%s: %s", disk->device, text);
		array_grow(disk->doubts, disk->doubt_count, disk->doubt_capacity);
		disk->doubts[disk->doubt_count++] = (struct track_doubt){.text = xstrdup(text)};
	}
	disk->doubts[i].times++;
	if (disk->doubt)
		free(text);
	else
		disk->doubt = text;
}

static void object(struct tracker *tracker, struct track_disk *disk, char *text)
{
	log_warning(tracker->log, "%s: %s", disk->device, text);
	free(disk->objection);
	disk->objection = text;
}

void track_begin_anew(struct tracker *tracker, size_t index)
{
	struct track_disk *disk = &tracker->disks[index];
	struct track_look look = {tracker, index};
	struct track_counts seen;

	free(take_ptr(disk->doubt));
	if (disk->objection)
		return;
	if (!ledger_open(&disk->ledger, track_look, &look)) {
		object(tracker, disk, xstrdup("the disk is gone"));
		return;
	}
	tracker->tier->look(tracker, index, &seen);
	disk->commands = seen.commands;
	disk->beyond = seen.beyond;
	disk->unshown = disk->ledger.unshown;
}

/* What is for good. */
static void look_for_objections(struct tracker *tracker, struct track_disk *disk)
{
	char was[FORMAT_BYTES], is[FORMAT_BYTES];
	struct track_stat now;

	if (!track_stat_look(disk->reader, &now))
		object(tracker, disk, xstrdup("the disk is gone"));
	else if (now.sequence != disk->sequence)
		object(tracker, disk, xstrdup("another disk has taken its place"));
	else if (now.size_bytes != disk->size_bytes)
		object(tracker, disk,
		       xasprintf("its size was %s and is %s", format_size(disk->size_bytes, was),
				 format_size(now.size_bytes, is)));
	else if (!now.is_counting)
		track_doubt(tracker, disk,
			    xstrdup("the kernel was told not to count its requests (queue/iostats), so that "
				    "there is nothing to compare with"));
}

static void look_for_doubts(struct tracker *tracker, size_t index)
{
	struct track_disk *disk = &tracker->disks[index];
	struct track_counts seen;
	char *loss;

	tracker->tier->look(tracker, index, &seen);
	/* Behind the look, which may itself find that something cannot be read. */
	loss = tracker->tier->find_loss ? tracker->tier->find_loss(tracker, index) : NULL;
	if (loss)
		track_doubt(tracker, disk, loss);
	if (seen.commands != disk->commands)
		track_doubt(tracker, disk,
			    xstrdup("a program sent commands to the disk itself, of which nobody can tell "
				    "whether they wrote"));
	disk->commands = seen.commands;
	if (seen.beyond != disk->beyond)
		track_doubt(tracker, disk, xstrdup("requests reached behind the end of what is tracked"));
	disk->beyond = seen.beyond;
}

static enum ledger_answer look_into_ledger(struct tracker *tracker, size_t index)
{
	struct track_disk *disk = &tracker->disks[index];
	struct track_look look = {tracker, index};
	uint64_t sectors = 0;
	enum ledger_answer answer = ledger_check(&disk->ledger, track_look, &look, &sectors);

	switch (answer) {
	case LEDGER_GONE:
		object(tracker, disk, xstrdup("the disk is gone"));
		break;
	case LEDGER_SHORT:
		track_doubt(tracker, disk, xstrdup("the kernel counted writes that were not seen"));
		log_debug(tracker->log, "%s: %" PRIu64 " sectors short", disk->device, sectors);
		break;
	case LEDGER_OVER:
		track_doubt(tracker, disk,
			    xstrdup(sectors ? "the kernel did not count all writes that were seen"
					    : "the kernel skipped requests at every stage"));
		log_debug(tracker->log, "%s: %" PRIu64 " sectors over", disk->device, sectors);
		break;
	case LEDGER_EXACT:
	case LEDGER_OPEN:
		break;
	}
	return answer;
}

void tracker_check(struct tracker *tracker, size_t index, struct tracker_verdict *ret_verdict)
{
	struct track_disk *disk = &tracker->disks[index];
	enum ledger_answer answer = LEDGER_OPEN;

	if (!disk->objection)
		look_for_objections(tracker, disk);
	if (!disk->objection) {
		if (tracker->tier->drain)
			tracker->tier->drain(tracker);
		look_for_doubts(tracker, index);
		answer = look_into_ledger(tracker, index);
	}
	ret_verdict->certainty = TRACKER_IN_DOUBT;
	if (disk->objection) {
		ret_verdict->reason = disk->objection;
	} else if (disk->doubt) {
		ret_verdict->reason = disk->doubt;
	} else if (answer != LEDGER_EXACT) {
		ret_verdict->certainty = TRACKER_SO_FAR;
		ret_verdict->reason = "the disk is being written to";
	} else if (disk->ledger.unshown != disk->unshown) {
		ret_verdict->certainty = TRACKER_SO_FAR;
		ret_verdict->reason = "the kernel did not show the end of all writes, so that what was in "
				      "flight has to be taken once more";
	} else {
		ret_verdict->certainty = TRACKER_CERTAIN;
		ret_verdict->reason = NULL;
	}
}

bool tracker_is_quiet(struct tracker *tracker, size_t index)
{
	struct track_disk *disk = &tracker->disks[index];
	struct track_stat stat = {0};
	struct track_counts seen = {0};
	bool is_quiet;

	if (!track_stat_look_counters(disk->reader, &stat))
		return true;
	if (!disk->objection)
		tracker->tier->look(tracker, index, &seen);
	is_quiet = !stat.writes_in_flight && !memcmp(&stat, &disk->quiet_stat, sizeof stat) &&
		   !memcmp(&seen, &disk->quiet_seen, sizeof seen);
	disk->quiet_stat = stat;
	disk->quiet_seen = seen;
	return is_quiet;
}
