/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tracker: chooses a tier, places every disk's cells, and says what it is.
 * What a disk's state means is in track-verdict.c, taking in track-take.c.
 *
 * The cells of all disks are in memory at once, at two bytes for each 64 KiB and
 * less; on very large machines a cell stands for more, so that they stay below
 * MAX_CELLS.
 */
#include "capture/track.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "capture/track-impl.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"

#define MAX_CELLS (224u << 20)
#define MIN_CELL_BYTES 4096u
#define MAX_CELL_BYTES (1u << 30)
/* Discards are apart, and rough: they cost memory, and are wanted only where a file system still uses them.
 */
#define DISCARD_CELLS 4u

static const char *const tier_names[] = {
	[TRACKER_AUTO] = "auto",	  [TRACKER_BPF] = "bpf",   [TRACKER_BLKTRACE] = "blktrace",
	[TRACKER_POINTS] = "tracepoints", [TRACKER_HASH] = "hash",
};

static const struct track_tier tier_hash = {
	.tier = TRACKER_HASH,
	.guarantee = "nothing is known of what is written: everything is read and compared",
};

/*
 * In the order in which TRACKER_AUTO tries them.  Classic trace points come behind
 * the log of requests: of commands sent past the block layer, a controller's polling
 * of a DVD drive among them, kernels before 5.17 do not tell to which disk they
 * go, so that all disks are in doubt all the time; the log is each disk's own.
 */
static const struct track_tier *const tiers[] = {&track_tier_bpf, &track_tier_blktrace, &track_tier_points,
						 &tier_hash};

const char *tracker_tier_name(enum tracker_tier tier)
{
	return tier_names[tier];
}

static bool find_tier(const char *name, enum tracker_tier *ret_tier)
{
	for (size_t i = 0; i < sizeof tier_names / sizeof *tier_names; i++) {
		if (strcmp(name, tier_names[i]))
			continue;
		*ret_tier = i;
		return true;
	}
	return false;
}

struct err *tracker_options_parse(const char *text, struct tracker_options *options)
{
	const char *comma = strchrnul(text, ',');
	CLEANUP_FREE char *name = xasprintf("%.*s", (int)(comma - text), text);
	bool has_switch = !strcmp(comma, ",no-mmap");
	enum tracker_tier tier;

	if ((*comma && !has_switch) || !find_tier(name, &tier))
		return err_advise(
			err_usage("'%s' is no way of tracking", text),
			"one of auto, bpf, blktrace, tracepoints, hash; with ',no-mmap' behind it the "
			"kernel's maps are not mapped");
	if (has_switch && (tier == TRACKER_BLKTRACE || tier == TRACKER_HASH))
		return err_usage("'%s': nothing is mapped there", text);
	options->tier = tier;
	options->flags = has_switch ? TRACKER_NO_MMAP : 0;
	return NULL;
}

static struct err *open_disk(const char *device, struct track_disk *disk)
{
	struct track_stat now;
	const char *objection;
	struct stat st;

	if (stat(device, &st))
		return err_from_errno(errno, "%s", device);
	if (!S_ISBLK(st.st_mode))
		return err_refused("%s: it is no block device, so its writes cannot be tracked", device);
	if (sysroot_has("", "/sys/dev/block/%u:%u/partition", major(st.st_rdev), minor(st.st_rdev)))
		return err_advise(err_refused("%s: it is a partition; whole disks are tracked", device),
				  "name the disk that it is on");
	disk->device = xstrdup(device);
	disk->number = st.st_rdev;
	disk->name = sysroot_link("", "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	TRY(err_wrap(track_stat_open(st.st_rdev, &disk->reader), "%s", device));
	if (!track_stat_look(disk->reader, &now))
		return err_failed("%s: the kernel tells nothing of it any more", device);
	disk->size_bytes = now.size_bytes;
	disk->sequence = now.sequence;
	objection = track_stat_objection(st.st_rdev);
	disk->objection = xstrdup(objection);
	return NULL;
}

static void close_disk(struct track_disk *disk)
{
	for (size_t i = 0; i < disk->doubt_count; i++)
		free(disk->doubts[i].text);
	free(disk->doubts);
	free(disk->doubt);
	free(disk->objection);
	free(disk->device);
	free(disk->name);
	extents_deinit(&disk->carried_written);
	extents_deinit(&disk->carried_discarded);
	track_stat_close(disk->reader);
}

/* Sets where every disk's cells are, and how many there are in all. */
static void place_cells(struct tracker *tracker)
{
	uint64_t at = 0;

	for (size_t i = 0; i < tracker->disk_count; i++) {
		struct track_disk *disk = &tracker->disks[i];

		track_area_place(&disk->written, disk->size_bytes, tracker->cell_bytes, &at);
		track_area_place(&disk->discarded, disk->size_bytes, tracker->cell_bytes * DISCARD_CELLS,
				 &at);
	}
	tracker->cells_bytes = at;
}

static struct err *choose_cells(struct tracker *tracker, uint32_t cell_bytes)
{
	if (cell_bytes &&
	    (cell_bytes & (cell_bytes - 1) || cell_bytes < MIN_CELL_BYTES || cell_bytes > MAX_CELL_BYTES))
		return err_usage("cells of %u bytes: a power of two from %u to %u is wanted", cell_bytes,
				 MIN_CELL_BYTES, MAX_CELL_BYTES);
	tracker->cell_bytes = cell_bytes ? cell_bytes : TRACKER_CELL_BYTES;
	place_cells(tracker);
	while (!cell_bytes && tracker->cells_bytes > MAX_CELLS && tracker->cell_bytes < MAX_CELL_BYTES) {
		tracker->cell_bytes *= 2;
		place_cells(tracker);
	}
	return NULL;
}

static struct err *start_tier(struct tracker *tracker, const struct track_tier *tier)
{
	tracker->tier = tier;
	return tier->start ? tier->start(tracker) : NULL;
}

static struct err *choose_tier(struct tracker *tracker, enum tracker_tier wanted)
{
	for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++) {
		struct err *err;

		if (wanted != TRACKER_AUTO && wanted != tiers[i]->tier)
			continue;
		err = err_wrap(start_tier(tracker, tiers[i]), "tracking by %s", tier_names[tiers[i]->tier]);
		if (!err)
			return NULL;
		if (wanted != TRACKER_AUTO)
			return err;
		log_debug(tracker->log, "%s", err_message(err));
		strv_add(&tracker->not_better, err_message(err));
		tracker->are_marks_copied = false;
		err_free(err);
	}
	return err_failed("there is no such way of tracking");
}

struct err *tracker_start(const char *const *devices, size_t count, const struct tracker_options *options,
			  struct tracker **ret_tracker)
{
	CLEANUP_TRACKER struct tracker *tracker = xcalloc(1, sizeof *tracker);
	bool is_asked_for = options->tier == TRACKER_HASH;

	tracker->tier = &tier_hash;
	tracker->flags = options->flags;
	tracker->log = options->log;
	tracker->disks = xcalloc(count, sizeof *tracker->disks);
	while (tracker->disk_count < count) {
		size_t i = tracker->disk_count++;

		TRY(open_disk(devices[i], &tracker->disks[i]));
	}
	TRY(choose_cells(tracker, options->cell_bytes));
	TRY(choose_tier(tracker, options->tier));
	tracker->guarantee =
		xasprintf("%s%s", tracker->tier->guarantee,
			  tracker->are_marks_copied ? "; the marks are copied out of the kernel, "
						      "whose maps are not mapped"
						    : "");
	for (size_t i = 0; i < count; i++) {
		struct track_disk *disk = &tracker->disks[i];

		if (tracker->tier == &tier_hash && !disk->objection)
			disk->objection = xstrdup(is_asked_for ? "it was asked not to be"
							       : "the kernel has no way to track it");
		/* Who has asked for it knows. */
		if (disk->objection && !is_asked_for)
			log_warning(tracker->log, "%s cannot be tracked: %s", disk->device, disk->objection);
		track_begin_anew(tracker, i);
	}
	*ret_tracker = take_ptr(tracker);
	return NULL;
}

void tracker_stop(struct tracker *tracker)
{
	if (!tracker)
		return;
	if (tracker->state)
		tracker->tier->stop(tracker);
	for (size_t i = 0; i < tracker->disk_count; i++)
		close_disk(&tracker->disks[i]);
	free(tracker->disks);
	free(tracker->guarantee);
	strv_deinit(&tracker->not_better);
	free(tracker);
}

const char *tracker_describe(const struct tracker *tracker)
{
	return tracker->guarantee;
}

enum tracker_tier tracker_tier(const struct tracker *tracker)
{
	return tracker->tier->tier;
}

uint32_t tracker_cell_bytes(const struct tracker *tracker)
{
	return tracker->cell_bytes;
}

static json_t *disk_to_json(const struct track_disk *disk)
{
	json_t *json = json_object(), *doubts = json_array();

	json_set_string(json, "device", disk->device);
	json_set_u64(json, "size_bytes", disk->size_bytes);
	json_set_string(json, "objection", disk->objection);
	for (size_t i = 0; i < disk->doubt_count; i++) {
		json_t *item = json_object();

		json_set_string(item, "reason", disk->doubts[i].text);
		json_set_u64(item, "times", disk->doubts[i].times);
		json_array_append_new(doubts, item);
	}
	json_object_set_new(json, "doubts", doubts);
	return json;
}

json_t *tracker_to_json(const struct tracker *tracker)
{
	json_t *json = json_object(), *not_better = json_array(), *disks = json_array();

	json_set_string(json, "tier", tier_names[tracker->tier->tier]);
	json_set_string(json, "guarantee", tracker->guarantee);
	json_set_u64(json, "cell_bytes", tracker->cell_bytes);
	for (size_t i = 0; i < tracker->not_better.count; i++)
		json_array_append_new(not_better, json_string(tracker->not_better.items[i]));
	json_object_set_new(json, "not_better", not_better);
	for (size_t i = 0; i < tracker->disk_count; i++)
		json_array_append_new(disks, disk_to_json(&tracker->disks[i]));
	json_object_set_new(json, "disks", disks);
	return json;
}
