// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The course of a repair's plan, and its account of what is done and lost.
 *
 * Every part works on an overlay of the file, which the next part reads as if it
 * were the file.  So the readers that open and check files do all the judging here
 * too, and the last one judges the result.  A file without any finding is left
 * alone altogether.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vhdx/overlay.h"
#include "vhdx/repair-plan.h"

const char *vhdx_loss_kind_name(enum vhdx_loss_kind kind)
{
	return kind == VHDX_LOSS_GONE ? "lost" : "in doubt";
}

static struct err *grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
	size_t wanted = *capacity ? 2 * *capacity : 16;
	void *grown;

	if (count < *capacity)
		return NULL;
	grown = reallocarray(*(void **)items, wanted, item_bytes);
	if (!grown)
		return err_nomem();
	*(void **)items = grown;
	*capacity = wanted;
	return NULL;
}

struct err *repair_steps_add(struct repair_steps *steps, uint64_t file_offset, const char *text)
{
	CLEANUP_FREE char *copy = strdup(text);

	if (!copy)
		return err_nomem();
	TRY(grow(&steps->items, steps->count, &steps->capacity, sizeof *steps->items));
	steps->items[steps->count++] = (struct vhdx_repair_step){file_offset, take_ptr(copy)};
	return NULL;
}

__attribute__((format(printf, 1, 0))) static struct err *format_text(const char *format, va_list args,
								     char **ret_text)
{
	char *text;

	/* After a failure the text is undefined. */
	if (vasprintf(&text, format, args) < 0)
		return err_nomem();
	*ret_text = text;
	return NULL;
}

struct err *repair_note(struct vhdx_repair *r, uint64_t file_offset, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;
	struct err *err;

	va_start(args, format);
	err = format_text(format, args, &text);
	va_end(args);
	TRY(err);
	return repair_steps_add(&r->steps, file_offset, text);
}

struct err *repair_lose(struct vhdx_repair *r, uint64_t offset, uint64_t len_bytes, enum vhdx_loss_kind kind,
			const char *text)
{
	struct vhdx_loss *last = r->loss_count ? &r->losses[r->loss_count - 1] : NULL;

	if (last && last->kind == kind && last->text == text && last->offset + last->len_bytes == offset) {
		last->len_bytes += len_bytes;
		return NULL;
	}
	if (last && last->text == text && last->offset == offset && last->len_bytes == len_bytes)
		return NULL;
	TRY(grow(&r->losses, r->loss_count, &r->loss_capacity, sizeof *r->losses));
	r->losses[r->loss_count++] = (struct vhdx_loss){offset, len_bytes, kind, text};
	return NULL;
}

struct err *repair_add_copy(struct vhdx_repair *r, const struct repair_copy *copy)
{
	TRY(grow(&r->copies, r->copy_count, &r->copy_capacity, sizeof *r->copies));
	r->copies[r->copy_count++] = *copy;
	return NULL;
}

struct err *repair_refuse(const struct vhdx_repair *r, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;
	struct err *err;

	va_start(args, format);
	err = format_text(format, args, &text);
	va_end(args);
	TRY(err);
	return err_advise(err_refused("%s: cannot be repaired: %s", r->file->name, text),
			  "restore it from a backup, or copy it again from where it came from");
}

static void free_steps(struct repair_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		free(steps->items[i].text);
	free(steps->items);
}

void vhdx_repair_destroy(struct vhdx_repair *r)
{
	if (!r)
		return;
	err_free(blk_close(r->io));
	vhdx_regions_deinit(&r->regions);
	vhdx_metadata_deinit(&r->metadata);
	free_steps(&r->steps);
	free_steps(&r->left);
	free(r->losses);
	free(r->copies);
	free(r);
}

/* What is said of the whole disk was said before its size was known. */
static void cut_losses(struct vhdx_repair *r)
{
	uint64_t size_bytes = r->metadata.geometry.size_bytes;

	for (size_t i = 0; i < r->loss_count; i++)
		if (r->losses[i].len_bytes > size_bytes - r->losses[i].offset)
			r->losses[i].len_bytes = size_bytes - r->losses[i].offset;
}

static struct err *make_plan(struct vhdx_repair *r)
{
	TRY(repair_identifier(r));
	TRY(repair_headers(r));
	TRY(repair_log(r));
	TRY(repair_regions(r));
	TRY(repair_metadata(r));
	TRY(repair_bat_region(r));
	TRY(repair_bat(r));
	TRY(repair_write_headers(r));
	cut_losses(r);
	return NULL;
}

/* Keeps the first failure: a callback of a check cannot return one. */
struct left_over {
	struct vhdx_repair *r;
	struct err *err;
};

static void take_left(void *arg, const struct vhdx_finding *finding)
{
	struct left_over *left = arg;

	if (finding->severity == VHDX_ERROR)
		left->err = err_first(left->err,
				      repair_steps_add(&left->r->left, finding->file_offset, finding->text));
}

/* A plan is worth nothing if its result does not open. */
static struct err *judge(struct vhdx_repair *r)
{
	struct left_over left = {.r = r};
	struct vhdx_check_result result;
	CLEANUP_BLK struct blk *as_file = NULL;
	CLEANUP_BLK struct blk *vhdx = NULL;
	struct err *err;

	TRY(vhdx_check_on(r->io, take_left, &left, &result));
	TRY(left.err);
	TRY(vhdx_overlay_create(r->io, &as_file));
	err = vhdx_open_on(as_file, VHDX_OPEN_INSPECT, NULL, &vhdx);
	if (err && err_kind(err) == ERR_REFUSED) {
		err_free(err);
		return repair_refuse(r, "%s", r->left.count ? r->left.items[0].text : "it would not open");
	}
	if (!err)
		(void)take_ptr(as_file);
	return err;
}

/* Nothing wrong but that it is not finished: that is not for us to decide. */
static struct err *refuse_incomplete(const struct vhdx_repair *r)
{
	return err_advise(
		err_refused("%s: is incomplete, and nothing else is wrong with it", r->file->name),
		"repeat what was writing it; or accept it as it is with 'p2v vhdx repair --complete'");
}

static struct err *plan(struct vhdx_repair *r)
{
	struct vhdx_check_result result;

	TRY(vhdx_overlay_create(r->file, &r->io));
	TRY(vhdx_check_on(r->file, NULL, NULL, &result));
	r->needed = result.errors || result.warnings;
	if (!r->needed)
		return NULL;
	TRY(make_plan(r));
	TRY(judge(r));
	if (!r->steps.count && !r->loss_count && r->metadata.is_incomplete)
		return refuse_incomplete(r);
	return NULL;
}

struct err *vhdx_repair_plan(struct blk *file, unsigned flags, struct vhdx_repair **ret_repair)
{
	CLEANUP_VHDX_REPAIR struct vhdx_repair *r = calloc(1, sizeof *r);

	if (!r)
		return err_nomem();
	r->file = file;
	r->flags = flags;
	TRY(plan(r));
	*ret_repair = take_ptr(r);
	return NULL;
}

struct vhdx_repair_summary vhdx_repair_summarize(const struct vhdx_repair *r)
{
	CLEANUP_EXTENTS struct extents changes = {0};

	if (r->needed)
		vhdx_overlay_changes(r->io, &changes);
	return (struct vhdx_repair_summary){
		.needed = r->needed,
		.steps = r->steps.items,
		.step_count = r->steps.count,
		.losses = r->losses,
		.loss_count = r->loss_count,
		.left = r->left.items,
		.left_count = r->left.count,
		.backup_bytes = extents_total_bytes(&changes),
	};
}
