/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carrying out a plan: the only code that changes a guest.  Before the first
 * change it makes sure that nothing speaks against it and that every file
 * system has the space; after the last one it syncs.  An error in between
 * leaves the guest partly changed: the caller then drops that copy.
 */
#include "p2v/guest/plan-impl.h"

#include <inttypes.h>

#include "p2v/base/mem.h"

#define BLOCK_BYTES 4096 /* of all usual file systems; only an estimate is wanted */

/* How much of a file system the plan takes at its worst moment. */
struct need {
	struct guest_space space;
	const char *path; /* the first change there, for the message */
	uint64_t used_bytes;
	uint64_t peak_bytes;
};

struct needs {
	struct need *items;
	size_t count;
	size_t capacity;
};

static void needs_deinit(struct needs *needs)
{
	free(needs->items);
}

static struct need *find_need(struct needs *needs, const struct guest_space *space, const char *path)
{
	for (size_t i = 0; i < needs->count; i++) {
		if (needs->items[i].space.id == space->id)
			return &needs->items[i];
	}
	array_grow(needs->items, needs->count, needs->capacity);
	needs->items[needs->count] = (struct need){.space = *space, .path = path};
	return &needs->items[needs->count++];
}

static uint64_t blocks(uint64_t bytes)
{
	return bytes / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES;
}

static void take_space(struct need *need, uint64_t bytes)
{
	need->used_bytes += blocks(bytes);
	if (need->used_bytes > need->peak_bytes)
		need->peak_bytes = need->used_bytes;
}

static void give_space(struct need *need, uint64_t bytes)
{
	uint64_t freed = blocks(bytes);

	need->used_bytes -= freed < need->used_bytes ? freed : need->used_bytes;
}

static struct err *add_need(struct plan *plan, const struct change *change, struct needs *needs)
{
	struct guest_space space;
	struct guest_space backup_space;
	bool stays = false;

	if (change->action == CHANGE_REMOVE)
		return NULL;
	TRY(guest_find_space(plan->guest, change->path, &space));
	if (change->backup_path) {
		TRY(guest_find_space(plan->guest, change->backup_path, &backup_space));
		stays = backup_space.id == space.id; /* as a second name, which takes nothing */
		if (!stays)
			take_space(find_need(needs, &backup_space, change->backup_path),
				   change->before.stat.size_bytes);
	}
	/* The new file is written beside the old one, which then goes, unless it is kept. */
	take_space(find_need(needs, &space, change->path), change->after.stat.size_bytes);
	if (change->before.stat.kind == GUEST_FILE && !stays)
		give_space(find_need(needs, &space, change->path), change->before.stat.size_bytes);
	return NULL;
}

static struct err *check_space(struct plan *plan)
{
	CLEANUP(needs_deinit) struct needs needs = {0};

	for (size_t i = 0; i < plan->change_count; i++)
		TRY(add_need(plan, &plan->changes[i], &needs));
	for (size_t i = 0; i < needs.count; i++) {
		const struct need *need = &needs.items[i];

		if (need->peak_bytes <= need->space.free_bytes)
			continue;
		return err_advise(
			err_refused("the guest's file system of %s has %" PRIu64
				    " KiB free, and the changes need %" PRIu64 " KiB",
				    need->path, need->space.free_bytes >> 10, need->peak_bytes >> 10),
			"free some space there on the source, for example by removing an old kernel");
	}
	return NULL;
}

static struct err *check_findings(const struct plan *plan)
{
	for (size_t i = 0; i < plan->finding_count; i++) {
		if (plan->findings[i].severity == FINDING_STOP)
			return err_refused("%s", plan->findings[i].text);
	}
	return NULL;
}

static struct err *apply_change(struct plan *plan, const struct change *change)
{
	if (change->backup_path)
		TRY(guest_keep(plan->guest, change->path, change->backup_path));
	switch (change->action) {
	case CHANGE_WRITE:
		return guest_write(plan->guest, change->path, change->after.data, change->after.bytes,
				   &change->after.stat);
	case CHANGE_UPLOAD:
		return guest_upload(plan->guest, change->path, change->host_file, &change->after.stat);
	case CHANGE_SYMLINK:
		return guest_symlink(plan->guest, change->path, change->after.target);
	case CHANGE_REMOVE:
		break;
	}
	return guest_remove(plan->guest, change->path);
}

struct err *plan_apply(struct plan *plan, const struct log *log)
{
	TRY(check_findings(plan));
	if (plan_is_empty(plan))
		return NULL;
	TRY(check_space(plan));
	for (size_t i = 0; i < plan->change_count; i++) {
		const struct change *change = &plan->changes[i];

		log_debug(log, "%s: %s: %s", change->author, change->path, change->reason);
		TRY(err_wrap(apply_change(plan, change), "%s: %s", change->author, change->path));
	}
	return guest_sync(plan->guest);
}
