/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/send-disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/masked.h"
#include "capture/stack.h"
#include "capture/usedmap.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/send-machine.h"
#include "p2v/sync/codec.h"
#include "vhdx/image.h"

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* A device that something uses cannot be opened for us alone; while we have it so, nothing else begins to. */
static struct err *claim(const char *path, unsigned flags, int *ret_fd)
{
	if (!is_device(path) || flags & SEND_IN_USE)
		return NULL;
	*ret_fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (*ret_fd >= 0 || errno != EBUSY)
		return NULL;
	return err_advise(err_refused("%s: is mounted, or otherwise in use", path),
			  "unmount it, or accept a copy as after a power cut with --in-use");
}

static struct err *open_disk(const char *path, const struct log *log, struct blk **ret_blk)
{
	struct err *err;

	if (!is_device(path))
		return image_open(path, log, NULL, ret_blk);
	err = blk_file_open(path, BLK_FILE_UNCACHED, 0, ret_blk);
	return err ? err_advise(err_as(err, ERR_REFUSED), "run it as root") : NULL;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/*
 * What stays the same from run to run, whatever order the kernel finds disks in: the world wide name or the
 * serial number, where there is one that can be told.
 */
static char *choose_id(const char *path, const struct machine_disk *disk)
{
	const char *const names[] = {disk ? disk->wwn : NULL, disk ? disk->serial : NULL};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i] && wire_is_disk_id(names[i], strlen(names[i])))
			return xstrdup(names[i]);
	return xstrdup(last_part(path));
}

/* Serial numbers that two disks share (of one controller, or made up) tell nothing. */
static void part_equal_ids(struct send_disks *disks)
{
	for (size_t i = 0; i < disks->count; i++) {
		bool is_shared = false;

		for (size_t k = i + 1; k < disks->count; k++) {
			struct send_disk *other = &disks->disks[k];

			if (strcmp(other->id, disks->disks[i].id))
				continue;
			is_shared = true;
			free(other->id);
			other->id = xstrdup(last_part(other->path));
		}
		if (!is_shared)
			continue;
		free(disks->disks[i].id);
		disks->disks[i].id = xstrdup(last_part(disks->disks[i].path));
	}
}

static struct err *name_disks(struct send_disks *disks)
{
	for (size_t i = 0; i < disks->count; i++)
		disks->disks[i].id = choose_id(disks->disks[i].path,
					       disks->machine.disk_count ? &disks->machine.disks[i] : NULL);
	part_equal_ids(disks);
	for (size_t i = 0; i < disks->count; i++) {
		for (size_t k = 0; k < i; k++)
			if (!strcmp(disks->disks[k].id, disks->disks[i].id))
				return err_advise(err_usage("two disks are called %s", disks->disks[i].id),
						  "give one of them another name, by a link for example");
		disks->for_sender[i].id = disks->disks[i].id;
	}
	return NULL;
}

static void tell_used(const struct send_disk *disk, const struct usedmap *map, uint64_t size_bytes,
		      const struct log *log)
{
	char used[FORMAT_BYTES], size[FORMAT_BYTES];

	log_info(log, "%s: %s of %s are in use", disk->path, format_size(disk->used_bytes, used),
		 format_size(size_bytes, size));
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct usedmap_piece *piece = &map->pieces[i];

		if (piece->doubt)
			log_debug(log, "%s: %s, %s: %s", disk->path, piece->label ? piece->label : "the disk",
				  piece->kind ? piece->kind : "unknown", piece->doubt);
	}
}

/* Puts a mask in front of the disk. */
static struct err *leave_out_unused(const struct machine *machine, size_t number, struct send_disks *disks,
				    const struct log *log)
{
	struct send_disk *disk = &disks->disks[number];
	struct blk **blk = &disks->for_sender[number].blk;
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_BLK struct blk *cached = NULL;

	/* Tables are read in small pieces, for which the page cache is made; what is in use is not read so.
	 */
	if (is_device(disk->path))
		TRY(blk_file_open(disk->path, 0, 0, &cached));
	stack_take_used(machine, machine->disk_count ? &machine->disks[number] : NULL, cached ? cached : *blk,
			&map);
	disk->used_bytes = extents_total_bytes(&map.used);
	tell_used(disk, &map, (*blk)->size_bytes, log);
	*blk = masked_create(*blk, &map.used);
	return NULL;
}

static struct err *open_one(struct send_disks *disks, size_t number, unsigned flags, const struct log *log)
{
	struct send_disk *disk = &disks->disks[number];
	struct blk **blk = &disks->for_sender[number].blk;
	bool is_known = disks->machine.disk_count || !is_device(disk->path);

	TRY(claim(disk->path, flags, &disk->claim_fd));
	changes_look(disk->path, &disk->look);
	TRY(open_disk(disk->path, log, blk));
	disk->used_bytes = (*blk)->size_bytes;
	/* What is mounted of a disk of which nothing is known, nobody can say. */
	if (flags & SEND_ALL || (flags & SEND_IN_USE && !is_known))
		return NULL;
	return leave_out_unused(&disks->machine, number, disks, log);
}

struct err *send_disks_open(const struct strv *paths, unsigned flags, const struct log *log,
			    struct send_disks *ret_disks)
{
	CLEANUP_ERR struct err *unknown = NULL;

	ret_disks->disks = xcalloc(paths->count, sizeof *ret_disks->disks);
	ret_disks->for_sender = xcalloc(paths->count, sizeof *ret_disks->for_sender);
	ret_disks->count = paths->count;
	for (size_t i = 0; i < paths->count; i++)
		ret_disks->disks[i] = (struct send_disk){.path = paths->items[i], .claim_fd = -1};
	unknown = send_find_machine(paths, &ret_disks->machine);
	if (unknown)
		log_warning(log, "what this machine is cannot be told: %s", err_message(unknown));
	TRY(name_disks(ret_disks));
	for (size_t i = 0; i < paths->count; i++)
		TRY(open_one(ret_disks, i, flags, log));
	return NULL;
}

void send_disks_close(struct send_disks *disks)
{
	for (size_t i = 0; i < disks->count; i++) {
		err_free(blk_close(disks->for_sender[i].blk));
		free(disks->disks[i].id);
		if (disks->disks[i].claim_fd >= 0)
			close(disks->disks[i].claim_fd);
	}
	free(disks->for_sender);
	free(disks->disks);
	machine_deinit(&disks->machine);
	*disks = (struct send_disks){0};
}

bool send_disk_has_changed(const struct send_disk *disk, uint64_t *ret_bytes)
{
	struct changes_look now;

	changes_look(disk->path, &now);
	return changes_between(&disk->look, &now, ret_bytes);
}
