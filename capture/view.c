/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/view.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

struct view_place {
	struct view_run run;
	uint64_t view_start; /* where the run begins in the view */
};

struct view {
	struct blk blk;
	struct blk *parent;
	struct view_place *places;
	size_t count;
};

static struct view *to_view(struct blk *blk)
{
	return (struct view *)blk;
}

static void view_free(struct view *view)
{
	free(view->places);
	free(view->blk.name);
	free(view);
}

/* Index of the place that holds the view's byte at offset. */
static size_t find_place(const struct view *view, uint64_t offset)
{
	size_t low = 0, high = view->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (view->places[middle].view_start <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static struct err *view_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	const struct view *view = to_view(blk);

	for (size_t i = find_place(view, offset); len_bytes; i++) {
		const struct view_place *place = &view->places[i];
		uint64_t into = offset - place->view_start;
		size_t part = len_bytes;

		if (part > place->run.bytes - into)
			part = place->run.bytes - into;
		TRY(blk_pread(view->parent, buf, part, place->run.start + into));
		buf = (uint8_t *)buf + part;
		offset += part;
		len_bytes -= part;
	}
	return NULL;
}

static struct err *view_close(struct blk *blk)
{
	view_free(to_view(blk));
	return NULL;
}

static const struct blk_ops view_ops = {
	.kind = "view",
	.pread = view_pread,
	.close = view_close,
};

static struct err *add_runs(struct view *view, const struct view_run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t end;

		if (__builtin_add_overflow(runs[i].start, runs[i].bytes, &end) ||
		    end > view->parent->size_bytes)
			return err_refused("%s: reaches behind the end of %s", view->blk.name,
					   view->parent->name);
		if (!runs[i].bytes)
			continue;
		view->places[view->count++] = (struct view_place){runs[i], view->blk.size_bytes};
		if (__builtin_add_overflow(view->blk.size_bytes, runs[i].bytes, &view->blk.size_bytes))
			return err_refused("%s: is too large", view->blk.name);
	}
	return NULL;
}

struct err *view_create(struct blk *parent, const struct view_run *runs, size_t count, const char *name,
			struct blk **ret_view)
{
	struct view *view = xcalloc(1, sizeof *view);
	struct err *err;

	view->blk = (struct blk){
		.ops = &view_ops,
		.name = xstrdup(name),
		.logical_sector_bytes = parent->logical_sector_bytes,
		.physical_sector_bytes = parent->physical_sector_bytes,
		.preferred_bytes = parent->preferred_bytes,
		.flags = BLK_READ_ONLY,
	};
	view->parent = parent;
	view->places = xcalloc(count, sizeof *view->places);
	err = add_runs(view, runs, count);
	if (err)
		view_free(view);
	else
		*ret_view = &view->blk;
	return err;
}

static int compare_places(const void *a, const void *b)
{
	uint64_t x = ((const struct view_place *)a)->run.start, y = ((const struct view_place *)b)->run.start;

	return x < y ? -1 : x > y;
}

/* In the parent's order, because that is how adding to extents is cheap. */
void view_translate(const struct view_run *runs, size_t count, const struct extents *in_view,
		    struct extents *ret_in_parent)
{
	CLEANUP_FREE struct view_place *places = xcalloc(count, sizeof *places);
	uint64_t view_start = 0;

	for (size_t i = 0; i < count; i++) {
		places[i] = (struct view_place){runs[i], view_start};
		view_start += runs[i].bytes;
	}
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 0; i < count; i++) {
		uint64_t from = places[i].view_start, to = from + places[i].run.bytes;

		for (size_t k = extents_find(in_view, from);
		     k < in_view->count && in_view->ranges[k].start < to; k++) {
			const struct extent *range = &in_view->ranges[k];
			uint64_t start = range->start > from ? range->start : from;
			uint64_t end = range->end < to ? range->end : to;

			extents_add(ret_in_parent, places[i].run.start + (start - from),
				    places[i].run.start + (end - from));
		}
	}
}
