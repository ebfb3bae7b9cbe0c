/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The report's reader.
 *
 * What comes over the port is the guest's word and may be anything: every
 * field is cleaned, a line that is too short is skipped, and only a report
 * whose end tells the number of its lines counts.  Names are resolved when all
 * lines are there, since their order is the script's own business.
 */
#include "p2v/prove/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/prove/clean.h"

#define MARK "P2V\t"
#define MAX_FIELDS 8

/* An fstab entry, an active swap area or a UUID link: needed until names are resolved. */
struct triple {
	char *a, *b, *c, *d;
};
struct triples {
	struct triple *items;
	size_t count, capacity;
};

struct parser {
	struct report *report;
	struct triples fstab; /* source, folder, type, options */
	struct triples swaps; /* device */
	struct triples uuids; /* uuid, device */
};

#define ADD_ONE(items, count)                                                   \
	({                                                                      \
		(items) = xreallocarray((items), (count) + 1, sizeof *(items)); \
		memset(&(items)[(count)], 0, sizeof *(items));                  \
		&(items)[(count)++];                                            \
	})

static void triples_deinit(struct triples *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].a);
		free(list->items[i].b);
		free(list->items[i].c);
		free(list->items[i].d);
	}
	free(list->items);
}

static void triples_add(struct triples *list, char **fields, size_t count)
{
	struct triple item = {0};

	item.a = xstrdup(fields[0]);
	item.b = count > 1 ? xstrdup(fields[1]) : NULL;
	item.c = count > 2 ? xstrdup(fields[2]) : NULL;
	item.d = count > 3 ? xstrdup(fields[3]) : NULL;
	array_grow(list->items, list->count, list->capacity);
	list->items[list->count++] = item;
}

static char *or_null(const char *field)
{
	return *field ? xstrdup(field) : NULL;
}

static uint64_t to_number(const char *field)
{
	/* Anything but digits, and what does not fit, counts as 0: unknown. */
	uint64_t number = 0;

	for (; isdigit((unsigned char)*field); field++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*field - '0'), &number))
			return 0;
	return *field ? 0 : number;
}

/* "/dev/vda1" gives "vda1"; NULL for what is no device. */
static char *device_name(const char *path)
{
	return str_starts_with(path, "/dev/") ? xstrdup(path + strlen("/dev/")) : NULL;
}

/*
 * One function a kind of line.  A field that the line lacks is "".
 */

static void parse_kernel(struct parser *parser, char **fields)
{
	free(parser->report->system.kernel);
	parser->report->system.kernel = or_null(fields[0]);
}

static void parse_host(struct parser *parser, char **fields)
{
	free(parser->report->system.host);
	parser->report->system.host = or_null(fields[0]);
}

static void parse_state(struct parser *parser, char **fields)
{
	free(parser->report->system.state);
	parser->report->system.state = or_null(fields[0]);
}

static void parse_uptime(struct parser *parser, char **fields)
{
	parser->report->system.boot_s = to_number(fields[0]);
}

static void parse_command_line(struct parser *parser, char **fields)
{
	free(parser->report->system.command_line);
	parser->report->system.command_line = or_null(fields[0]);
}

static void parse_prompt(struct parser *parser, char **fields)
{
	parser->report->system.has_prompt = !strcmp(fields[0], "yes");
}

static void parse_mount(struct parser *parser, char **fields)
{
	struct report_mount *mount = ADD_ONE(parser->report->mounts, parser->report->mount_count);

	mount->folder = xstrdup(fields[0]);
	mount->number = xstrdup(fields[1]);
	mount->type = xstrdup(fields[2]);
	mount->source = xstrdup(fields[3]);
	mount->device = device_name(fields[4]);
}

static void parse_swap(struct parser *parser, char **fields)
{
	triples_add(&parser->swaps, fields, 1);
}

static void parse_fstab(struct parser *parser, char **fields)
{
	triples_add(&parser->fstab, fields, 4);
}

static void parse_uuid(struct parser *parser, char **fields)
{
	triples_add(&parser->uuids, fields, 2);
}

static void parse_block(struct parser *parser, char **fields)
{
	struct report_block *block = ADD_ONE(parser->report->blocks, parser->report->block_count);
	const char *path = fields[3], *slash = strrchr(path, '/');
	uint64_t sectors = to_number(fields[2]);

	block->name = xstrdup(fields[0]);
	block->number = xstrdup(fields[1]);
	/* sysfs counts in 512 bytes, whatever the disk's sectors. */
	if (__builtin_mul_overflow(sectors, 512, &block->size_bytes))
		block->size_bytes = 0;
	strv_split(&block->drivers, fields[4], " ");
	strv_split(&block->slaves, fields[5], " ");
	block->mapper_name = or_null(fields[6]);
	/* …/block/vda/vda1 is a partition; drop_controllers() looks after …/nvme/nvme0/nvme0n1. */
	if (slash) {
		const char *parent = memrchr(path, '/', slash - path);

		if (parent)
			block->parent = xstrndup(parent + 1, slash - parent - 1);
	}
}

static void parse_nic(struct parser *parser, char **fields)
{
	struct report_nic *nic = ADD_ONE(parser->report->nics, parser->report->nic_count);

	nic->name = xstrdup(fields[0]);
	nic->mac = xstrdup(*fields[4] ? fields[4] : fields[1]);
	for (char *c = nic->mac; *c; c++)
		*c = tolower((unsigned char)*c);
	nic->state = xstrdup(fields[2]);
	strv_split(&nic->drivers, fields[3], " ");
}

static void parse_address(struct parser *parser, char **fields)
{
	struct report *report = parser->report;

	if (strcmp(fields[3], "global"))
		return;
	for (size_t i = 0; i < report->nic_count; i++)
		if (!strcmp(report->nics[i].name, fields[0]))
			strv_add(&report->nics[i].addresses, fields[2]);
}

static void parse_failed(struct parser *parser, char **fields)
{
	struct report_unit *unit = ADD_ONE(parser->report->failed_units, parser->report->failed_unit_count);
	const char *equals = strchr(fields[1], '=');

	unit->name = xstrdup(fields[0]);
	unit->result = xstrdup(equals ? equals + 1 : fields[1]);
}

static void parse_failed_log(struct parser *parser, char **fields)
{
	struct report *report = parser->report;

	for (size_t i = 0; i < report->failed_unit_count; i++)
		if (!strcmp(report->failed_units[i].name, fields[0]))
			strv_add(&report->failed_units[i].log, fields[1]);
}

static void parse_job(struct parser *parser, char **fields)
{
	strv_addf(&parser->report->jobs, "%s %s %s", fields[0], fields[1], fields[2]);
}

static const struct {
	const char *key;
	void (*parse)(struct parser *parser, char **fields);
} line_kinds[] = {
	{"kernel", parse_kernel},	  {"host", parse_host},
	{"state", parse_state},		  {"uptime", parse_uptime},
	{"cmdline", parse_command_line},  {"prompt", parse_prompt},
	{"mount", parse_mount},		  {"swap", parse_swap},
	{"fstab", parse_fstab},		  {"uuid", parse_uuid},
	{"block", parse_block},		  {"nic", parse_nic},
	{"address", parse_address},	  {"failed", parse_failed},
	{"failed-log", parse_failed_log}, {"job", parse_job},
};

/* Fields behind the mark, cleaned; always MAX_FIELDS of them, "" where the line has less. */
static void split_fields(const char *line, size_t bytes, char *ret_fields[MAX_FIELDS])
{
	for (size_t i = 0; i < MAX_FIELDS; i++) {
		const char *tab = memchr(line, '\t', bytes);
		size_t field_bytes = tab ? (size_t)(tab - line) : bytes;

		ret_fields[i] = clean_line(line, field_bytes);
		line += field_bytes + !!tab;
		bytes -= field_bytes + !!tab;
	}
}

static void parse_line(struct parser *parser, const char *line, size_t bytes)
{
	char *fields[MAX_FIELDS];

	split_fields(line, bytes, fields);
	for (size_t i = 0; i < sizeof line_kinds / sizeof *line_kinds; i++)
		if (!strcmp(fields[0], line_kinds[i].key))
			line_kinds[i].parse(parser, fields + 1);
	for (size_t i = 0; i < MAX_FIELDS; i++)
		free(fields[i]);
}

static bool has_option(const char *options, const char *option)
{
	CLEANUP_STRV struct strv list = {0};

	strv_split(&list, options, ",");
	return strv_has(&list, option);
}

static bool is_network_type(const char *type, const char *options)
{
	static const char *const types[] = {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs"};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(type, types[i]))
			return true;
	return has_option(options, "_netdev");
}

/* An entry is active if its folder is mounted; swap areas are only counted, their names differ. */
static void find_missing_mounts(struct parser *parser)
{
	struct report *report = parser->report;
	size_t swaps_wanted = 0;

	for (size_t i = 0; i < parser->fstab.count; i++) {
		const struct triple *entry = &parser->fstab.items[i];

		if (has_option(entry->d, "noauto") || has_option(entry->d, "nofail") ||
		    has_option(entry->d, "x-systemd.automount") || is_network_type(entry->c, entry->d))
			continue;
		if (!strcmp(entry->c, "swap"))
			swaps_wanted++;
		else if (*entry->b == '/' && !report_find_mount(report, entry->b))
			strv_add(&report->missing_mounts, entry->b);
	}
	if (parser->swaps.count < swaps_wanted)
		strv_add(&report->missing_mounts, "swap");
}

/* A parent is a block device itself; else the folder above is a controller's, or just "block". */
static void drop_controllers(struct report *report)
{
	for (size_t i = 0; i < report->block_count; i++) {
		struct report_block *block = &report->blocks[i];

		if (block->parent && !report_find_block(report, block->parent)) {
			free(block->parent);
			block->parent = NULL;
		}
	}
}

/* The file systems' UUIDs; and the root's device where the source is not a device node (/dev/root). */
static void resolve_mounts(struct parser *parser)
{
	struct report *report = parser->report;

	for (size_t i = 0; i < report->mount_count; i++) {
		struct report_mount *mount = &report->mounts[i];

		if (!mount->device || !report_find_block(report, mount->device))
			for (size_t k = 0; k < report->block_count; k++)
				if (!strcmp(report->blocks[k].number, mount->number)) {
					free(mount->device);
					mount->device = xstrdup(report->blocks[k].name);
				}
		for (size_t k = 0; mount->device && k < parser->uuids.count; k++) {
			CLEANUP_FREE char *device = device_name(parser->uuids.items[k].b);

			if (device && !strcmp(device, mount->device)) {
				free(mount->uuid);
				mount->uuid = xstrdup(parser->uuids.items[k].a);
			}
		}
	}
}

/* Lines between begin and end, as offsets into the data. */
struct span {
	size_t start, end;
};

/* The next line with the mark from *at on: its part behind the mark. */
static const char *next_marked(const char *data, size_t bytes, size_t *at, size_t *ret_bytes)
{
	while (*at < bytes) {
		const char *line = data + *at, *newline = memchr(line, '\n', bytes - *at);
		size_t line_bytes = newline ? (size_t)(newline - line) : bytes - *at;
		const char *mark = memmem(line, line_bytes, MARK, strlen(MARK));

		*at += line_bytes + !!newline;
		if (!mark)
			continue;
		mark += strlen(MARK);
		*ret_bytes = line + line_bytes - mark;
		while (*ret_bytes && mark[*ret_bytes - 1] == '\r')
			--*ret_bytes;
		return mark;
	}
	return NULL;
}

static bool has_key(const char *line, size_t bytes, const char *key)
{
	size_t key_bytes = strlen(key);

	return bytes > key_bytes && !memcmp(line, key, key_bytes) && line[key_bytes] == '\t';
}

static enum report_status find_report(const char *data, size_t bytes, struct span *ret_span)
{
	enum report_status status = REPORT_NONE;
	uint64_t lines = 0;
	size_t at = 0, start = 0, line_at = 0, line_bytes;
	bool has_begun = false;
	const char *line;

	for (; (line_at = at, line = next_marked(data, bytes, &at, &line_bytes)); lines++) {
		if (has_key(line, line_bytes, "begin")) {
			start = line_at;
			lines = 0;
			has_begun = true;
			if (status == REPORT_NONE)
				status = REPORT_PARTIAL;
		} else if (has_key(line, line_bytes, "end")) {
			CLEANUP_FREE char *count = clean_line(line + 4, line_bytes - 4);

			if (!has_begun || to_number(count) != lines)
				continue;
			*ret_span = (struct span){start, line_at};
			status = REPORT_COMPLETE;
		}
	}
	return status;
}

enum report_status report_parse(const char *data, size_t bytes, struct report *ret_report)
{
	struct report report = {0};
	struct parser parser = {.report = &report};
	enum report_status status;
	struct span span;
	const char *line;
	size_t line_bytes;

	status = find_report(data, bytes, &span);
	if (status != REPORT_COMPLETE)
		return status;
	while ((line = next_marked(data, span.end, &span.start, &line_bytes)))
		parse_line(&parser, line, line_bytes);
	drop_controllers(&report);
	resolve_mounts(&parser);
	find_missing_mounts(&parser);
	triples_deinit(&parser.fstab);
	triples_deinit(&parser.swaps);
	triples_deinit(&parser.uuids);
	*ret_report = report;
	return REPORT_COMPLETE;
}
