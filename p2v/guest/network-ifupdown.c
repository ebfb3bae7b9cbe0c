/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /etc/network/interfaces of Debian and its kin: interfaces(5). */
#include <fnmatch.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect-network.h"
#include "p2v/guest/path.h"

#define MAX_DEPTH 8 /* of files that include each other */

struct reader {
	const struct inspect_context *context;
	unsigned depth;
};

/* The stanza that lines belong to. */
struct stanza {
	size_t index; /* of the interface; SIZE_MAX: none */
	char *address; /* until its netmask is known */
	char *netmask;
};

static struct err *read_file(struct reader *reader, const char *path);

static void stanza_end(struct inspection *inspection, struct stanza *stanza)
{
	if (stanza->index != SIZE_MAX && stanza->address)
		network_add_address(&inspection->interfaces[stanza->index], stanza->address, stanza->netmask);
	free(stanza->address);
	free(stanza->netmask);
	*stanza = (struct stanza){.index = SIZE_MAX};
}

/* "iface NAME inet static", "iface NAME:1 inet static" */
static void stanza_begin(struct inspection *inspection, struct stanza *stanza, const struct strv *words,
			 const char *path)
{
	CLEANUP_FREE char *name = xstrdup(words->items[1]);
	struct guest_interface *interface;

	name[strcspn(name, ":")] = '\0';
	/* A pattern ("/eth*") or a template is no interface. */
	if (!name[0] || strpbrk(name, "/*?["))
		return;
	interface = network_interface(inspection, name, path);
	stanza->index = (size_t)(interface - inspection->interfaces);
}

static void read_option(struct inspection *inspection, struct stanza *stanza, const struct strv *words)
{
	static const char *const virtual_prefixes[] = {"bridge",    "bond-slaves",     "bond-mode",
						       "bond_mode", "vlan-raw-device", "vlan_raw_device"};
	struct guest_interface *interface = &inspection->interfaces[stanza->index];
	const char *key = words->items[0];
	const char *value = words->count > 1 ? words->items[words->count - 1] : "";

	if (strcmp(key, "address") == 0) {
		free(stanza->address);
		stanza->address = xstrdup(value);
	} else if (strcmp(key, "netmask") == 0) {
		free(stanza->netmask);
		stanza->netmask = xstrdup(value);
	} else if (strcmp(key, "hwaddress") == 0) {
		network_set_mac(interface, value);
	}
	for (size_t i = 0; i < sizeof virtual_prefixes / sizeof *virtual_prefixes; i++) {
		if (str_starts_with(key, virtual_prefixes[i]))
			interface->is_physical = false;
	}
}

/* The files of a pattern whose wild cards are in the last component, relative to dir if not absolute. */
static struct err *read_pattern(struct reader *reader, const char *dir, const char *pattern)
{
	CLEANUP_FREE char *full = pattern[0] == '/' ? xstrdup(pattern) : path_join(dir, pattern);
	CLEANUP_FREE char *parent = path_parent(full);
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(reader->context->guest, parent, &names));
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(parent, names.items[i]);

		if (fnmatch(path_base(full), names.items[i], FNM_PERIOD) == 0)
			TRY(read_file(reader, path));
	}
	return NULL;
}

/* Names that run-parts would take. */
static struct err *read_directory(struct reader *reader, const char *dir)
{
	static const char accepted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(reader->context->guest, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(dir, names.items[i]);

		if (!names.items[i][strspn(names.items[i], accepted)])
			TRY(read_file(reader, path));
	}
	return NULL;
}

static struct err *read_line(struct reader *reader, const char *path, const char *line, struct stanza *stanza)
{
	static const char *const others[] = {"auto",	   "mapping", "no-auto-down",
					     "no-scripts", "rename",  "template"};
	struct inspection *inspection = reader->context->inspection;
	CLEANUP_FREE char *dir = path_parent(path);
	CLEANUP_STRV struct strv words = {0};
	const char *key;

	strv_split(&words, line, " \t\r");
	if (words.count == 0 || words.items[0][0] == '#')
		return NULL;
	key = words.items[0];
	if (strcmp(key, "iface") == 0 && words.count > 1) {
		stanza_end(inspection, stanza);
		stanza_begin(inspection, stanza, &words, path);
		return NULL;
	}
	if (strcmp(key, "source") == 0 && words.count > 1) {
		stanza_end(inspection, stanza);
		return read_pattern(reader, dir, words.items[1]);
	}
	if (strcmp(key, "source-directory") == 0 && words.count > 1) {
		CLEANUP_FREE char *full =
			words.items[1][0] == '/' ? xstrdup(words.items[1]) : path_join(dir, words.items[1]);

		stanza_end(inspection, stanza);
		return read_directory(reader, full);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (strcmp(key, others[i]) == 0 || str_starts_with(key, "allow-")) {
			stanza_end(inspection, stanza);
			return NULL;
		}
	}
	if (stanza->index != SIZE_MAX)
		read_option(inspection, stanza, &words);
	return NULL;
}

static struct err *read_lines(struct reader *reader, const char *path, const char *text)
{
	struct stanza stanza = {.index = SIZE_MAX};
	struct err *err = NULL;

	for (const char *at = text; *at && !err;) {
		struct text line = {0};
		size_t bytes = strcspn(at, "\n");

		/* A backslash at the end continues the line. */
		while (bytes > 0 && at[bytes] && at[bytes - 1] == '\\') {
			text_add(&line, at, bytes - 1);
			at += bytes + 1;
			bytes = strcspn(at, "\n");
		}
		text_add(&line, at, bytes);
		at += bytes + (at[bytes] == '\n');
		err = read_line(reader, path, line.data ? line.data : "", &stanza);
		text_deinit(&line);
	}
	stanza_end(reader->context->inspection, &stanza);
	return err;
}

static struct err *read_file(struct reader *reader, const char *path)
{
	struct guest *guest = reader->context->guest;
	CLEANUP_FREE char *text = NULL;
	struct guest_stat stat;
	struct err *err;
	size_t bytes;

	if (reader->depth >= MAX_DEPTH)
		return NULL;
	TRY(guest_stat(guest, path, &stat));
	if (stat.kind != GUEST_FILE)
		return NULL;
	TRY(guest_read(guest, path, &text, &bytes));
	reader->depth++;
	err = text ? read_lines(reader, path, text) : NULL;
	reader->depth--;
	return err;
}

struct err *network_read_ifupdown(const struct inspect_context *context)
{
	struct reader reader = {.context = context};

	return read_file(&reader, "/etc/network/interfaces");
}
