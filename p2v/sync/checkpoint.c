/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"

#define FORMAT 1

struct err *checkpoint_init(const struct message_job *job, struct checkpoint *ret_checkpoint)
{
	struct checkpoint checkpoint = {.started = time(NULL), .disk_count = job->disk_count};

	if (getrandom(checkpoint.hash_key, sizeof checkpoint.hash_key, 0) != sizeof checkpoint.hash_key)
		return err_from_errno(errno, "random numbers for a hash key");
	memcpy(checkpoint.name, job->name, job->name_bytes);
	checkpoint.disks = xcalloc(job->disk_count, sizeof *checkpoint.disks);
	for (size_t i = 0; i < job->disk_count; i++) {
		const struct message_disk *from = &job->disks[i];
		struct checkpoint_disk *to = &checkpoint.disks[i];

		memcpy(to->id, from->id, from->id_bytes);
		to->size_bytes = from->size_bytes;
		to->block_bytes = from->block_bytes;
		to->logical_sector_bytes = from->logical_sector_bytes;
		to->physical_sector_bytes = from->physical_sector_bytes;
	}
	*ret_checkpoint = checkpoint;
	return NULL;
}

void checkpoint_deinit(struct checkpoint *checkpoint)
{
	free(checkpoint->disks);
	explicit_bzero(checkpoint, sizeof *checkpoint);
}

static struct err *differs(const struct checkpoint *checkpoint)
{
	return err_advise(err_refused("there is a job '%s' with other disks", checkpoint->name),
			  "send under another name (--name), or remove that job's folder at the receiver");
}

struct err *checkpoint_compare(const struct checkpoint *checkpoint, const struct message_job *job)
{
	if (checkpoint->disk_count != job->disk_count)
		return differs(checkpoint);
	for (size_t i = 0; i < job->disk_count; i++) {
		const struct checkpoint_disk *ours = &checkpoint->disks[i];
		const struct message_disk *theirs = &job->disks[i];

		if (strlen(ours->id) != theirs->id_bytes || memcmp(ours->id, theirs->id, theirs->id_bytes) ||
		    ours->size_bytes != theirs->size_bytes || ours->block_bytes != theirs->block_bytes ||
		    ours->logical_sector_bytes != theirs->logical_sector_bytes ||
		    ours->physical_sector_bytes != theirs->physical_sector_bytes)
			return err_wrap(differs(checkpoint), "disk %.*s", (int)theirs->id_bytes, theirs->id);
	}
	return NULL;
}

struct err *checkpoint_superseded(void)
{
	return err_advise(err_refused("another sender has taken this job over"),
			  "let one send at a time; another job needs another name (--name)");
}

struct err *checkpoint_check_run(const struct checkpoint *checkpoint, const uint8_t run[WIRE_RUN_BYTES])
{
	for (size_t i = 1; i < checkpoint->run_count; i++)
		if (!memcmp(checkpoint->runs[i], run, WIRE_RUN_BYTES))
			return checkpoint_superseded();
	return NULL;
}

void checkpoint_take_run(struct checkpoint *checkpoint, const uint8_t run[WIRE_RUN_BYTES])
{
	if (checkpoint->run_count && !memcmp(checkpoint->runs[0], run, WIRE_RUN_BYTES))
		return;
	if (checkpoint->run_count < CHECKPOINT_RUNS)
		checkpoint->run_count++;
	memmove(checkpoint->runs + 1, checkpoint->runs, (checkpoint->run_count - 1) * WIRE_RUN_BYTES);
	memcpy(checkpoint->runs[0], run, WIRE_RUN_BYTES);
}

static void format_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
	for (size_t i = 0; i < count; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static struct err *parse_hex(const char *what, const char *text, uint8_t *ret_bytes, size_t count)
{
	if (!text || strlen(text) != 2 * count || strspn(text, "0123456789abcdef") != 2 * count)
		return err_refused("%s: is not %zu bytes", what, count);
	for (size_t i = 0; i < count; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		ret_bytes[i] = strtoul(digits, NULL, 16);
	}
	return NULL;
}

static void set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t count)
{
	char text[2 * WIRE_ROOT_BYTES + 1];

	format_hex(bytes, count, text);
	json_set_string(object, key, text);
	explicit_bzero(text, sizeof text);
}

static struct err *get_hex(const json_t *object, const char *key, uint8_t *ret_bytes, size_t count)
{
	const char *text;

	TRY(json_get_string(object, key, &text));
	return parse_hex(key, text, ret_bytes, count);
}

static void save_runs(const struct checkpoint *checkpoint, json_t *object)
{
	json_t *runs = json_array();
	char text[2 * WIRE_RUN_BYTES + 1];

	for (size_t i = 0; i < checkpoint->run_count; i++) {
		format_hex(checkpoint->runs[i], WIRE_RUN_BYTES, text);
		json_array_append_new(runs, json_string(text));
	}
	json_object_set_new(object, "runs", runs);
}

static struct err *load_runs(const json_t *object, struct checkpoint *checkpoint)
{
	const json_t *runs = json_object_get(object, "runs"), *entry;
	size_t i;

	json_array_foreach (runs, i, entry) {
		if (i == CHECKPOINT_RUNS)
			return err_refused("runs: are too many");
		TRY(parse_hex("runs", json_string_value(entry), checkpoint->runs[i], WIRE_RUN_BYTES));
		checkpoint->run_count++;
	}
	return NULL;
}

struct err *checkpoint_lock(const char *folder, int *ret_fd)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_from_errno(errno, "%s", folder);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return err_advise(err_failed("%s: the job is in use", folder),
				  "wait until its sender, or 'p2v convert --take-held', has ended");
	*ret_fd = take_fd(&fd);
	return NULL;
}

/* So that the new name lasts as well. */
static struct err *sync_folder(const char *folder)
{
	CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_from_errno(errno, "%s", folder) : NULL;
}

struct err *checkpoint_save(const struct checkpoint *checkpoint, const char *folder)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, CHECKPOINT_FILE);
	CLEANUP_JSON json_t *object = json_object();
	json_t *disks = json_array();

	json_set_u64(object, "format", FORMAT);
	json_set_string(object, "name", checkpoint->name);
	json_set_bool(object, "complete", checkpoint->complete);
	json_set_u64(object, "started", checkpoint->started);
	json_set_u64(object, "completed", checkpoint->completed);
	json_set_u64(object, "held_since", checkpoint->held_since);
	set_hex(object, "root", checkpoint->root.bytes, sizeof checkpoint->root.bytes);
	set_hex(object, "hash_key", checkpoint->hash_key, sizeof checkpoint->hash_key);
	save_runs(checkpoint, object);
	json_object_set_new(object, "disks", disks);
	for (size_t i = 0; i < checkpoint->disk_count; i++) {
		const struct checkpoint_disk *disk = &checkpoint->disks[i];
		json_t *entry = json_object();

		json_set_string(entry, "id", disk->id);
		json_set_u64(entry, "size_bytes", disk->size_bytes);
		json_set_u64(entry, "block_bytes", disk->block_bytes);
		json_set_u64(entry, "logical_sector_bytes", disk->logical_sector_bytes);
		json_set_u64(entry, "physical_sector_bytes", disk->physical_sector_bytes);
		json_array_append_new(disks, entry);
	}
	TRY(json_write_file(path, object));
	return sync_folder(folder);
}

static struct err *load_disk(const json_t *entry, struct checkpoint_disk *disk)
{
	uint64_t block, logical, physical;
	const char *id;

	TRY(json_get_string(entry, "id", &id));
	TRY(json_get_u64(entry, "size_bytes", &disk->size_bytes));
	TRY(json_get_u64(entry, "block_bytes", &block));
	TRY(json_get_u64(entry, "logical_sector_bytes", &logical));
	TRY(json_get_u64(entry, "physical_sector_bytes", &physical));
	if (strlen(id) >= sizeof disk->id || block < WIRE_MIN_BLOCK_BYTES || block > WIRE_MAX_BLOCK_BYTES ||
	    !disk->size_bytes || disk->size_bytes > WIRE_MAX_DISK_BYTES || logical > 4096 || physical > 4096)
		return err_refused("a disk is out of range");
	memcpy(disk->id, id, strlen(id) + 1);
	disk->block_bytes = block;
	disk->logical_sector_bytes = logical;
	disk->physical_sector_bytes = physical;
	return NULL;
}

static struct err *load(const json_t *object, struct checkpoint *checkpoint)
{
	const json_t *disks = json_object_get(object, "disks"), *entry;
	uint64_t format, started, completed, held_since = 0;
	const char *name;
	size_t i;

	TRY(json_get_u64(object, "format", &format));
	if (format != FORMAT)
		return err_refused("is of format %" PRIu64 ", we know %u", format, FORMAT);
	TRY(json_get_string(object, "name", &name));
	TRY(json_get_u64(object, "started", &started));
	TRY(json_get_u64(object, "completed", &completed));
	/* Older ones do not have it. */
	if (json_object_get(object, "held_since"))
		TRY(json_get_u64(object, "held_since", &held_since));
	TRY(get_hex(object, "root", checkpoint->root.bytes, sizeof checkpoint->root.bytes));
	TRY(get_hex(object, "hash_key", checkpoint->hash_key, sizeof checkpoint->hash_key));
	TRY(load_runs(object, checkpoint));
	if (!wire_is_job_name(name, strlen(name)))
		return err_refused("'%s' is no name of a job", name);
	if (!json_is_array(disks) || !json_array_size(disks) || json_array_size(disks) > WIRE_MAX_DISKS)
		return err_refused("the number of disks is out of range");
	memcpy(checkpoint->name, name, strlen(name) + 1);
	checkpoint->complete = json_is_true(json_object_get(object, "complete"));
	checkpoint->held_since = held_since;
	checkpoint->started = started;
	checkpoint->completed = completed;
	checkpoint->disk_count = json_array_size(disks);
	checkpoint->disks = xcalloc(checkpoint->disk_count, sizeof *checkpoint->disks);
	json_array_foreach (disks, i, entry)
		TRY(load_disk(entry, &checkpoint->disks[i]));
	return NULL;
}

struct err *checkpoint_load(const char *folder, struct checkpoint *ret_checkpoint)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, CHECKPOINT_FILE);
	CLEANUP_CHECKPOINT struct checkpoint checkpoint = {0};
	CLEANUP_JSON json_t *object = NULL;

	TRY(json_read_file(path, &object));
	TRY(err_wrap(load(object, &checkpoint), "%s", path));
	*ret_checkpoint = checkpoint;
	checkpoint.disks = NULL;
	return NULL;
}
