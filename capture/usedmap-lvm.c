/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An LVM2 physical volume: what its logical volumes hold; extents that none of
 * them has are left out.
 *
 * A logical volume is looked into only where all of it is on this disk, in
 * plain segments, and nothing else refers to it: a snapshot reads what its
 * origin calls free.  Of all others (striped, mirrored, RAID, thin, cached,
 * partly on other disks) every extent here is taken.  Extents that two volumes
 * claim, a move that was not finished and a group that other machines write to
 * are doubts about the whole.
 */
#include <stdlib.h>

#include "capture/lvm-area.h"
#include "capture/lvm-text.h"
#include "capture/usedmap-impl.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512u /* the unit of the text, whatever the disk's own */

/* A logical volume, or a part of one: what it has of this disk, in its own order. */
struct volume {
	const struct lvm_node *node;
	struct view_run *runs;
	size_t count, capacity;
	bool is_plain; /* linear, and all of it here */
};

struct lvm {
	struct usedmap_walk *walk;
	struct blk *blk;
	char id[LVM_ID_BYTES];
	const struct lvm_node *vg; /* the section of the metadata */
	const char *pv_name; /* what the metadata calls this physical volume: "pv0" */
	uint64_t extent_bytes, data_start, extents; /* of this physical volume */
	struct volume *volumes;
	size_t volume_count;
	struct strv referred; /* sorted: what segments name */
};

static bool lvm_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	return lvm_has_label(start, size_bytes);
}

static bool has_word(const struct lvm_node *section, const char *list, const char *word)
{
	const struct lvm_node *node = lvm_node_find(section, list);

	return node && strv_has(&node->values, word);
}

/* "AbCdEf-GhIj-…" without its dashes is the label's id. */
static bool is_id(const char *text, const char id[LVM_ID_BYTES])
{
	size_t at = 0;

	for (; text && *text; text++)
		if (*text != '-' && (at == LVM_ID_BYTES || *text != id[at++]))
			return false;
	return at == LVM_ID_BYTES;
}

static struct err *read_geometry(struct lvm *lvm, const struct lvm_node *pv)
{
	uint64_t sectors, start_sectors;

	TRY(lvm_node_number(lvm->vg, "extent_size", &sectors));
	TRY(lvm_node_number(pv, "pe_start", &start_sectors));
	TRY(lvm_node_number(pv, "pe_count", &lvm->extents));
	if (!sectors || sectors > UINT32_MAX || start_sectors > lvm->blk->size_bytes / SECTOR_BYTES ||
	    lvm->extents > (lvm->blk->size_bytes - start_sectors * SECTOR_BYTES) / (sectors * SECTOR_BYTES))
		return usedmap_doubt("its volume group is larger than the device it is on");
	lvm->extent_bytes = sectors * SECTOR_BYTES;
	lvm->data_start = start_sectors * SECTOR_BYTES;
	lvm->pv_name = pv->name;
	return NULL;
}

static struct err *find_group(struct lvm *lvm, const struct lvm_node *root)
{
	const struct lvm_node *volumes;
	const char *lock;

	for (size_t i = 0; i < root->child_count && !lvm->vg; i++)
		if (root->children[i].child_count)
			lvm->vg = &root->children[i];
	lock = lvm_node_text(lvm->vg, "lock_type");
	if (has_word(lvm->vg, "status", "CLUSTERED") || (lock && strcmp(lock, "none")))
		return usedmap_doubt("its volume group is shared with other machines");
	volumes = lvm_node_find(lvm->vg, "physical_volumes");
	for (size_t i = 0; volumes && i < volumes->child_count; i++) {
		const struct lvm_node *pv = &volumes->children[i];

		if (!is_id(lvm_node_text(pv, "id"), lvm->id))
			continue;
		if (has_word(pv, "flags", "MISSING"))
			return usedmap_doubt("its volume group went on without it");
		return read_geometry(lvm, pv);
	}
	return usedmap_doubt("its LVM metadata does not know it");
}

static struct err *add_run(const struct lvm *lvm, const char *extent_text, uint64_t count,
			   struct volume *volume)
{
	uint64_t extent;

	TRY(lvm_number(extent_text, &extent));
	if (extent >= lvm->extents || count > lvm->extents - extent)
		return usedmap_doubt("its LVM metadata points behind its end");
	array_grow(volume->runs, volume->count, volume->capacity);
	volume->runs[volume->count++] =
		(struct view_run){lvm->data_start + extent * lvm->extent_bytes, count * lvm->extent_bytes};
	return NULL;
}

/* Every kind of segment that lies on disks directly has `stripes`: pairs of disk and first extent. */
static struct err *take_segment(const struct lvm *lvm, const struct lvm_node *segment, uint64_t extents,
				struct volume *volume)
{
	const struct lvm_node *stripes = lvm_node_find(segment, "stripes");
	const char *type = lvm_node_text(segment, "type");
	uint64_t pairs;

	/* The mirror that pvmove makes has disks directly, in a list of another name. */
	for (size_t i = 0; i < segment->child_count; i++)
		if (&segment->children[i] != stripes && strv_has(&segment->children[i].values, lvm->pv_name))
			return usedmap_doubt("its volume group is being moved");
	if (!type || strcmp(type, "striped") || !stripes || stripes->values.count != 2)
		volume->is_plain = false;
	pairs = stripes ? stripes->values.count / 2 : 0;
	for (size_t i = 0; i < pairs; i++) {
		if (strcmp(stripes->values.items[2 * i], lvm->pv_name))
			volume->is_plain = false;
		else
			TRY(add_run(lvm, stripes->values.items[2 * i + 1], (extents + pairs - 1) / pairs,
				    volume));
	}
	return NULL;
}

/* The runs are in the order of the volume if each segment begins where the last one ended. */
static struct err *take_segments(const struct lvm *lvm, struct volume *volume)
{
	uint64_t at = 0;

	for (size_t i = 0; i < volume->node->child_count; i++) {
		const struct lvm_node *segment = &volume->node->children[i];
		uint64_t start, count;

		if (!segment->child_count || strncmp(segment->name, "segment", 7))
			continue;
		TRY(lvm_node_number(segment, "start_extent", &start));
		TRY(lvm_node_number(segment, "extent_count", &count));
		if (count > UINT32_MAX)
			return usedmap_doubt("its LVM metadata makes no sense");
		if (start != at)
			volume->is_plain = false;
		at = start + count;
		TRY(take_segment(lvm, segment, count, volume));
	}
	return NULL;
}

static struct err *take_volumes(struct lvm *lvm)
{
	const struct lvm_node *volumes = lvm_node_find(lvm->vg, "logical_volumes");

	lvm->volumes = xcalloc(volumes ? volumes->child_count : 0, sizeof *lvm->volumes);
	for (size_t i = 0; volumes && i < volumes->child_count; i++) {
		struct volume *volume = &lvm->volumes[lvm->volume_count++];

		*volume = (struct volume){.node = &volumes->children[i], .is_plain = true};
		TRY(take_segments(lvm, volume));
	}
	return NULL;
}

/* Snapshots, pools, mirrors and caches name, in their segments, the volumes that they are made of. */
static void find_referred(struct lvm *lvm)
{
	for (size_t i = 0; i < lvm->volume_count; i++)
		for (size_t k = 0; k < lvm->volumes[i].node->child_count; k++) {
			const struct lvm_node *segment = &lvm->volumes[i].node->children[k];

			for (size_t m = 0; m < segment->child_count; m++)
				for (size_t n = 0; n < segment->children[m].values.count; n++)
					strv_add(&lvm->referred, segment->children[m].values.items[n]);
		}
	strv_sort(&lvm->referred);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_referred_to(const struct lvm *lvm, const char *name)
{
	return lvm->referred.count && bsearch(&name, lvm->referred.items, lvm->referred.count,
					      sizeof *lvm->referred.items, compare_texts);
}

static bool is_complete(const struct lvm *lvm, const struct volume *volume)
{
	const struct lvm_node *node = volume->node;

	return volume->is_plain && has_word(node, "status", "VISIBLE") &&
	       !has_word(node, "status", "PVMOVE") && !has_word(node, "status", "LOCKED") &&
	       !is_referred_to(lvm, node->name);
}

static int compare_runs(const void *a, const void *b)
{
	uint64_t x = ((const struct view_run *)a)->start, y = ((const struct view_run *)b)->start;

	return x < y ? -1 : x > y;
}

static struct err *check_disjoint(const struct lvm *lvm)
{
	CLEANUP_FREE struct view_run *all = NULL;
	size_t count = 0;

	for (size_t i = 0; i < lvm->volume_count; i++)
		count += lvm->volumes[i].count;
	all = xcalloc(count, sizeof *all);
	count = 0;
	for (size_t i = 0; i < lvm->volume_count; i++)
		for (size_t k = 0; k < lvm->volumes[i].count; k++)
			all[count++] = lvm->volumes[i].runs[k];
	qsort(all, count, sizeof *all, compare_runs);
	for (size_t i = 1; i < count; i++)
		if (all[i - 1].start + all[i - 1].bytes > all[i].start)
			return usedmap_doubt("its logical volumes overlap");
	return NULL;
}

static struct err *map_volume(const struct lvm *lvm, const struct volume *volume, struct extents *ret_used)
{
	CLEANUP_FREE char *label = xasprintf("volume %s/%s", lvm->vg->name, volume->node->name);

	if (!volume->count)
		return NULL;
	if (is_complete(lvm, volume))
		return usedmap_nested(lvm->walk, lvm->blk, volume->runs, volume->count, label, ret_used);
	usedmap_whole(lvm->walk, volume->runs, volume->count, label, NULL,
		      "it is on several disks, or part of something larger", ret_used);
	return NULL;
}

/* Outside of the extents there are labels and metadata. */
static struct err *map_group(struct lvm *lvm, struct extents *ret_used)
{
	TRY(take_volumes(lvm));
	TRY(check_disjoint(lvm));
	find_referred(lvm);
	extents_add(ret_used, 0, lvm->data_start);
	for (size_t i = 0; i < lvm->volume_count; i++)
		TRY(map_volume(lvm, &lvm->volumes[i], ret_used));
	extents_add(ret_used, lvm->data_start + lvm->extents * lvm->extent_bytes, lvm->blk->size_bytes);
	return NULL;
}

static void lvm_deinit(struct lvm *lvm)
{
	for (size_t i = 0; i < lvm->volume_count; i++)
		free(lvm->volumes[i].runs);
	free(lvm->volumes);
	strv_deinit(&lvm->referred);
}

static struct err *lvm_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	CLEANUP(lvm_deinit) struct lvm lvm = {.walk = walk, .blk = blk};
	CLEANUP_LVM_NODE struct lvm_node *root = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t bytes = 0;

	TRY(lvm_read_text(blk, lvm.id, &text, &bytes));
	TRY(lvm_text_parse(text, bytes, &root));
	TRY(find_group(&lvm, root));
	return map_group(&lvm, ret_used);
}

const struct usedmap_kind usedmap_lvm = {
	.name = "LVM2_member",
	.recognise = lvm_recognise,
	.map = lvm_map,
};
