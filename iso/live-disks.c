/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-disks.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "capture/discover.h"
#include "p2v/base/format.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/codec.h"

#define ASSEMBLE_LIMIT_NS 120000000000
#define MIN_SERIAL_BYTES 4

/* One of the image's helpers, if it is there; true if it succeeded. */
static bool run_helper(const struct live_options *options, const struct log *log, const char *name)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", options->helper_dir, name);
	const struct run_options run = {.log = log, .time_limit_ns = ASSEMBLE_LIMIT_NS};
	CLEANUP_ERR struct err *err = NULL;

	if (!run_is_installed(path))
		return false;
	err = run_argv((const char *const[]){path, NULL}, &run, NULL);
	if (err)
		log_warning(log, "%s", err_message(err));
	return !err;
}

static void tell_inside(const struct machine *machine, struct strv *ret_inside)
{
	for (size_t i = 0; i < machine->volume_count; i++) {
		const struct machine_volume *volume = &machine->volumes[i];
		char size[FORMAT_BYTES];

		strv_addf(ret_inside, "%s: %s, %s%s%s%s%s", volume->device, volume->kind,
			  format_size(volume->size_bytes, size), volume->content ? ", " : "",
			  volume->content ? volume->content : "", volume->label ? " " : "",
			  volume->label ? volume->label : "");
	}
}

struct err *live_disks_find(const struct live_options *options, const struct log *log,
			    struct machine *ret_machine, struct strv *ret_inside)
{
	if (run_helper(options, log, "assemble")) {
		CLEANUP_MACHINE struct machine machine = {0};
		struct err *err = discover_machine(options->sysroot, &machine);

		if (!err)
			tell_inside(&machine, ret_inside);
		err_free(err);
	}
	/* Also after an assembly that failed half-way: what it left would hold the disks. */
	run_helper(options, log, "disassemble");
	return discover_machine(options->sysroot, ret_machine);
}

static bool has_name(const struct machine_disk *disk, const char *name)
{
	const char *last = strrchr(disk->source, '/');

	return !strcmp(disk->source, name) || (last && !strcmp(last + 1, name)) ||
	       strv_has(&disk->paths, name) || (disk->serial && !strcmp(disk->serial, name)) ||
	       (disk->wwn && !strcmp(disk->wwn, name));
}

struct err *live_disks_resolve(const struct machine *machine, const struct strv *names,
			       struct strv *ret_devices)
{
	for (size_t i = 0; i < names->count; i++) {
		const char *found = NULL;

		for (size_t k = 0; k < machine->disk_count; k++) {
			if (!has_name(&machine->disks[k], names->items[i]))
				continue;
			if (found)
				return err_advise(err_refused("disks: '%s' is a name of %s and of %s",
							      names->items[i], found,
							      machine->disks[k].source),
						  "name the device");
			found = machine->disks[k].source;
		}
		if (!found)
			return err_advise(err_refused("disks: there is no disk '%s'", names->items[i]),
					  "choose among those that are shown");
		if (!strv_has(ret_devices, found))
			strv_add(ret_devices, found);
	}
	return NULL;
}

/* Makers leave "Not Specified" or zeros. */
static bool is_serial(const char *text)
{
	size_t digits = 0;

	for (const char *at = text; *at; at++) {
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_' && *at != '.')
			return false;
		digits += *at >= '1' && *at <= '9';
	}
	return digits && strlen(text) >= MIN_SERIAL_BYTES && wire_is_job_name(text, strlen(text)) &&
	       strcmp(text, "0123456789") && strcmp(text, "123456789");
}

char *live_disks_name_machine(const struct machine *machine)
{
	if (machine->hardware.serial && is_serial(machine->hardware.serial))
		return xstrdup(machine->hardware.serial);
	for (size_t i = 0; i < machine->nic_count; i++) {
		const struct machine_nic *nic = &machine->nics[i];
		CLEANUP_TEXT struct text name = {0};

		if (!nic->mac || nic->kind)
			continue;
		text_addf(&name, "machine-");
		for (const char *at = nic->mac; *at; at++)
			if (*at != ':')
				text_add(&name, at, 1);
		return text_take(&name);
	}
	return xstrdup("machine");
}

char *live_disks_reword(const char *text)
{
	static const struct {
		const char *from, *to;
	} words[] = {
		{"name it with --disk", "mark it"},
		{"name both with --disk", "mark both"},
		{"name the disks with --disk", "mark them"},
		{"run p2v as root; else look", "look"},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		const char *place = strstr(text, words[i].from);

		if (place)
			return xasprintf("%.*s%s%s", (int)(place - text), text, words[i].to,
					 place + strlen(words[i].from));
	}
	return xstrdup(text);
}

static void add_content(struct strv *words, const char *content)
{
	static const struct {
		const char *content, *word;
	} known[] = {
		{"LVM2_member", "LVM"},
		{"linux_raid_member", "RAID"},
		{"crypto_LUKS", "encrypted"},
		{"BitLocker", "encrypted"},
		{"vfat", "FAT"},
		{"ntfs", "NTFS"},
	};
	const char *word = content;

	for (size_t i = 0; content && i < sizeof known / sizeof *known; i++)
		if (!strcmp(content, known[i].content))
			word = known[i].word;
	if (word && !strv_has(words, word))
		strv_add(words, word);
}

char *live_disks_describe(const struct machine_disk *disk)
{
	CLEANUP_STRV struct strv words = {0};
	CLEANUP_TEXT struct text text = {0};

	add_content(&words, disk->content);
	for (size_t i = 0; i < disk->partition_count; i++)
		add_content(&words, disk->partitions[i].content);
	for (size_t i = 0; i < words.count; i++)
		text_addf(&text, "%s%s", i ? ", " : "", words.items[i]);
	if (!words.count)
		text_addf(&text, "%s",
			  disk->unreadable	  ? "unreadable"
			  : disk->partition_count ? "unknown content"
			  : disk->table		  ? "no partitions"
						  : "nothing known");
	return text_take(&text);
}
