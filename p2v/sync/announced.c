/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files are written for status alone: readers find a whole one or none, and one
 * that is not what we write is an error of that machine only.
 */
#include "p2v/sync/announced.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"

#define FOLDER ".machines"
#define FILE_NAME "announced.json"
#define FORMAT 1

static const char *const text_names[WIRE_ANNOUNCE_TEXTS] = {
	[WIRE_TEXT_NAME] = "name",     [WIRE_TEXT_VENDOR] = "vendor",	    [WIRE_TEXT_MODEL] = "model",
	[WIRE_TEXT_SERIAL] = "serial", [WIRE_TEXT_ADDRESSES] = "addresses", [WIRE_TEXT_REASON] = "reason",
};

void announced_deinit(struct announced *machine)
{
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++)
		free(machine->texts[i]);
	free(machine->peer);
}

void announced_format_id(const uint8_t id[WIRE_MACHINE_ID_BYTES], char ret_text[ANNOUNCED_ID_BYTES])
{
	for (size_t i = 0; i < WIRE_MACHINE_ID_BYTES; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", id[i]);
}

static bool is_id(const char *name)
{
	return strlen(name) == ANNOUNCED_ID_BYTES - 1 && strspn(name, "0123456789abcdef") == strlen(name);
}

char *announced_folder(const char *dir, const char *id)
{
	return xasprintf("%s/" FOLDER "/%s", dir, id);
}

static char *file_path(const char *dir, const char *id)
{
	return xasprintf("%s/" FOLDER "/%s/" FILE_NAME, dir, id);
}

static struct err *make_folder(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? err_from_errno(errno, "%s", path) : NULL;
}

struct err *announced_save(const char *dir, const struct announced *machine)
{
	CLEANUP_FREE char *all = xasprintf("%s/" FOLDER, dir), *folder = announced_folder(dir, machine->id),
			  *path = file_path(dir, machine->id);
	const struct timespec times[2] = {{machine->last_heard, 0}, {machine->last_heard, 0}};
	CLEANUP_JSON json_t *object = json_object();

	json_set_u64(object, "format", FORMAT);
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++)
		json_set_string(object, text_names[i], machine->texts[i]);
	json_set_string(object, "peer", machine->peer);
	json_set_string(object, "phase", wire_phase_name(machine->phase));
	json_set_bool(object, "connected", machine->is_connected);
	json_set_u64(object, "booted", machine->booted);
	json_set_u64(object, "phase_since", machine->phase_since);
	TRY(make_folder(all));
	TRY(make_folder(folder));
	TRY(json_write_file(path, object));
	return utimensat(AT_FDCWD, path, times, 0) ? err_from_errno(errno, "%s", path) : NULL;
}

struct err *announced_touch(const char *dir, const char *id)
{
	CLEANUP_FREE char *path = file_path(dir, id);

	return utimensat(AT_FDCWD, path, NULL, 0) ? err_from_errno(errno, "%s", path) : NULL;
}

static struct err *take_json(const json_t *object, struct announced *machine)
{
	uint64_t format, booted, phase_since;
	const char *text;

	TRY(json_get_u64(object, "format", &format));
	if (format != FORMAT)
		return err_refused("is of a version of p2v that is not this one");
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++) {
		TRY(json_get_string(object, text_names[i], &text));
		if (!wire_is_ascii(text, strlen(text)))
			return err_refused("member '%s' is not printable", text_names[i]);
		machine->texts[i] = xstrdup(text);
	}
	TRY(json_get_string(object, "peer", &text));
	machine->peer = xstrdup(text);
	TRY(json_get_string(object, "phase", &text));
	machine->phase = wire_phase_by_name(text, strlen(text));
	TRY(json_get_u64(object, "booted", &booted));
	TRY(json_get_u64(object, "phase_since", &phase_since));
	machine->booted = booted;
	machine->phase_since = phase_since;
	machine->is_connected = json_is_true(json_object_get(object, "connected"));
	return NULL;
}

struct err *announced_load(const char *dir, const char *id, struct announced *ret_machine)
{
	CLEANUP_ANNOUNCED struct announced machine = {0};
	CLEANUP_FREE char *path = file_path(dir, id);
	CLEANUP_JSON json_t *object = NULL;
	struct stat st;

	if (stat(path, &st))
		return err_from_errno(errno, "%s", path);
	machine.last_heard = st.st_mtim.tv_sec;
	memcpy(machine.id, id, sizeof machine.id);
	TRY(json_read_file(path, &object));
	TRY(err_wrap(take_json(object, &machine), "%s", path));
	*ret_machine = machine;
	machine = (struct announced){0};
	return NULL;
}

void announced_forget(const char *dir, const char *id)
{
	CLEANUP_FREE char *folder = announced_folder(dir, id);

	(void)remove_tree(folder);
}

DEFINE_CLEANUP(dir, DIR *, closedir)

struct err *announced_list(const char *dir, struct announced_entry **ret_entries, size_t *ret_count)
{
	CLEANUP_FREE char *all = xasprintf("%s/" FOLDER, dir);
	CLEANUP_FREE struct announced_entry *entries = NULL;
	CLEANUP(cleanup_dir) DIR *folder = opendir(all);
	size_t count = 0, capacity = 0;
	struct dirent *found;

	if (!folder && errno != ENOENT)
		return err_from_errno(errno, "%s", all);
	while (folder && (found = readdir(folder))) {
		CLEANUP_FREE char *path = file_path(dir, found->d_name);
		struct announced_entry *entry;
		struct stat st;

		if (!is_id(found->d_name))
			continue;
		array_grow(entries, count, capacity);
		entry = &entries[count++];
		memcpy(entry->id, found->d_name, sizeof entry->id);
		entry->last_heard = stat(path, &st) ? 0 : st.st_mtim.tv_sec;
	}
	*ret_entries = take_ptr(entries);
	*ret_count = count;
	return NULL;
}

bool announced_is_here(const struct announced *machine, time_t now)
{
	return machine->is_connected && now - machine->last_heard <= WIRE_SILENCE_SECONDS;
}
