/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machines that have announced themselves: by name, and two of one name with their ids. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/status.h"
#include "p2v/sync/announced.h"

#define SHOWN_ID_DIGITS 8

struct machines {
	struct announced *items;
	size_t count;
	time_t now;
};

static void machines_deinit(struct machines *machines)
{
	for (size_t i = 0; i < machines->count; i++)
		announced_deinit(&machines->items[i]);
	free(machines->items);
}

static int compare(const void *a, const void *b)
{
	const struct announced *one = a, *other = b;
	int by_name = strcmp(one->texts[WIRE_TEXT_NAME], other->texts[WIRE_TEXT_NAME]);

	return by_name ? by_name : strcmp(one->id, other->id);
}

/* The receiver may forget one at any moment. */
static struct err *load_machines(const char *dir, struct machines *machines)
{
	CLEANUP_FREE struct announced_entry *entries = NULL;
	size_t count;

	TRY(announced_list(dir, &entries, &count));
	machines->items = xcalloc(count + 1, sizeof *machines->items);
	for (size_t i = 0; i < count; i++) {
		struct err *err = announced_load(dir, entries[i].id, &machines->items[machines->count]);

		if (err && err_errno(err) != ENOENT)
			return err_advise(err, "remove that folder: the machine will tell it again");
		if (!err)
			machines->count++;
		err_free(err);
	}
	qsort(machines->items, machines->count, sizeof *machines->items, compare);
	machines->now = time(NULL);
	return NULL;
}

static bool is_name_shared(const struct machines *machines, size_t i)
{
	const struct announced *at = machines->items;
	const char *name = at[i].texts[WIRE_TEXT_NAME];

	return (i && !strcmp(at[i - 1].texts[WIRE_TEXT_NAME], name)) ||
	       (i + 1 < machines->count && !strcmp(at[i + 1].texts[WIRE_TEXT_NAME], name));
}

/* Whether there is a bundle of that name; the caller frees the path. */
static bool find_bundle(const char *dir, const struct announced *machine, const char *file, char **ret_path,
			struct stat *ret_st)
{
	CLEANUP_FREE char *folder = announced_folder(dir, machine->id);

	*ret_path = xasprintf("%s/%s", folder, file);
	return !lstat(*ret_path, ret_st);
}

static const char *const bundle_files[] = {ANNOUNCED_BUNDLE_FILE, ANNOUNCED_OLDER_BUNDLE_FILE};
#define BUNDLE_FILES (sizeof bundle_files / sizeof *bundle_files)

static void add_bundles(const char *dir, const struct announced *machine, json_t *entry)
{
	json_t *bundles = json_array();

	for (size_t i = 0; i < BUNDLE_FILES; i++) {
		CLEANUP_FREE char *path = NULL;
		struct stat st;
		json_t *bundle;

		if (!find_bundle(dir, machine, bundle_files[i], &path, &st))
			continue;
		bundle = json_object();
		json_set_string(bundle, "file", path);
		json_set_u64(bundle, "size_bytes", st.st_size);
		json_set_u64(bundle, "received", st.st_mtim.tv_sec);
		json_array_append_new(bundles, bundle);
	}
	json_object_set_new(entry, "bundles", bundles);
}

static void add_json(const char *dir, const struct machines *machines, const struct announced *machine,
		     json_t *array)
{
	json_t *entry = json_object(), *addresses = json_array();
	CLEANUP_STRV struct strv list = {0};

	strv_split(&list, machine->texts[WIRE_TEXT_ADDRESSES], " ");
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(addresses, json_string(list.items[i]));
	json_set_string(entry, "name", machine->texts[WIRE_TEXT_NAME]);
	json_set_string(entry, "id", machine->id);
	json_set_string(entry, "phase", wire_phase_name(machine->phase));
	json_set_string(entry, "reason", machine->texts[WIRE_TEXT_REASON]);
	json_set_bool(entry, "connected", announced_is_here(machine, machines->now));
	json_set_u64(entry, "booted", machine->booted);
	json_set_u64(entry, "phase_since", machine->phase_since);
	json_set_u64(entry, "last_heard", machine->last_heard);
	json_set_string(entry, "vendor", machine->texts[WIRE_TEXT_VENDOR]);
	json_set_string(entry, "model", machine->texts[WIRE_TEXT_MODEL]);
	json_set_string(entry, "serial", machine->texts[WIRE_TEXT_SERIAL]);
	json_object_set_new(entry, "addresses", addresses);
	json_set_string(entry, "peer", machine->peer);
	add_bundles(dir, machine, entry);
	json_array_append_new(array, entry);
}

static void print_time(const char *before, time_t when)
{
	char text[32] = "?";
	struct tm local;

	if (localtime_r(&when, &local))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
	printf("%s%s", before, text);
}

static void print_name(const struct machines *machines, size_t i)
{
	const struct announced *machine = &machines->items[i];
	CLEANUP_FREE char *name =
		is_name_shared(machines, i)
			? xasprintf("%s (%.*s)", machine->texts[WIRE_TEXT_NAME], SHOWN_ID_DIGITS, machine->id)
			: xstrdup(machine->texts[WIRE_TEXT_NAME]);

	printf("%-20s ", name);
}

/* Phase and times: what a machine said before it went does not hold any more. */
static void print_state(const struct announced *machine, time_t now)
{
	const char *reason = machine->texts[WIRE_TEXT_REASON];

	if (announced_is_here(machine, now)) {
		printf("%s", wire_phase_name(machine->phase));
		print_time(" since ", machine->phase_since);
		printf(", heard of %" PRId64 " s ago", (int64_t)(now - machine->last_heard));
	} else {
		printf("gone, was %s", wire_phase_name(machine->phase));
		print_time(", last heard of ", machine->last_heard);
	}
	if (*reason) {
		fputs(": ", stdout);
		status_print_words(reason);
	}
	putchar('\n');
}

static void print_machine(const char *dir, const struct machines *machines, size_t i)
{
	static const enum wire_announce_text shown[] = {WIRE_TEXT_VENDOR, WIRE_TEXT_MODEL, WIRE_TEXT_SERIAL,
							WIRE_TEXT_ADDRESSES};
	const struct announced *machine = &machines->items[i];

	print_name(machines, i);
	print_state(machine, machines->now);
	fputs("   ", stdout);
	for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
		if (!*machine->texts[shown[k]])
			continue;
		putchar(' ');
		status_print_words(machine->texts[shown[k]]);
	}
	printf(" (from %s)", machine->peer);
	print_time(", started ", machine->booted);
	putchar('\n');
	for (size_t k = 0; k < BUNDLE_FILES; k++) {
		CLEANUP_FREE char *path = NULL;
		char size[FORMAT_BYTES];
		struct stat st;

		if (!find_bundle(dir, machine, bundle_files[k], &path, &st))
			continue;
		printf("    support bundle %s, %s", path, format_size(st.st_size, size));
		print_time(", of ", st.st_mtim.tv_sec);
		putchar('\n');
	}
}

struct err *status_list_machines(const char *dir, json_t *ret_array)
{
	CLEANUP(machines_deinit) struct machines machines = {0};

	TRY(load_machines(dir, &machines));
	if (machines.count && !ret_array)
		puts("machines that have announced themselves:");
	for (size_t i = 0; i < machines.count; i++) {
		if (ret_array)
			add_json(dir, &machines, &machines.items[i], ret_array);
		else
			print_machine(dir, &machines, i);
	}
	return NULL;
}
