/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v send tells of the machine that the disks are taken from. */
#include "p2v/cmd/send-machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/discover.h"
#include "capture/layout.h"
#include "p2v/base/mem.h"
#include "p2v/sync/wire.h"

static bool are_devices(const struct strv *disks)
{
	for (size_t i = 0; i < disks->count; i++) {
		struct stat st;

		if (stat(disks->items[i], &st) || !S_ISBLK(st.st_mode))
			return false;
	}
	return true;
}

static bool is_disk(const struct machine_disk *disk, const char *path)
{
	if (disk->source && !strcmp(disk->source, path))
		return true;
	for (size_t i = 0; i < disk->paths.count; i++)
		if (!strcmp(disk->paths.items[i], path))
			return true;
	return false;
}

/* The machine's disk of that name is moved into *ret_disk; one that discovery leaves out is looked at alone.
 */
static struct err *take_disk(struct machine *machine, const char *path, struct machine_disk *ret_disk)
{
	CLEANUP_FREE char *real = realpath(path, NULL);

	for (size_t i = 0; real && i < machine->disk_count; i++) {
		if (!is_disk(&machine->disks[i], real))
			continue;
		*ret_disk = machine->disks[i];
		machine->disks[i] = (struct machine_disk){0};
		return NULL;
	}
	return discover_device(path, ret_disk);
}

/* The machine with these disks alone, in this order. */
static struct err *keep_disks(struct machine *machine, const struct strv *disks)
{
	CLEANUP_MACHINE struct machine kept = {0};

	for (size_t i = 0; i < disks->count; i++)
		TRY(take_disk(machine, disks->items[i], machine_add_disk(&kept)));
	/* What is left of the old ones goes with `kept`. */
	{
		struct machine_disk *old = machine->disks;
		size_t old_count = machine->disk_count;

		machine->disks = kept.disks;
		machine->disk_count = kept.disk_count;
		kept.disks = old;
		kept.disk_count = old_count;
	}
	return NULL;
}

struct err *send_find_machine(const struct strv *disks, struct machine *ret_machine)
{
	CLEANUP_MACHINE struct machine machine = {0};

	if (!are_devices(disks))
		return NULL;
	TRY(discover_machine("", &machine));
	TRY(keep_disks(&machine, disks));
	*ret_machine = machine;
	machine = (struct machine){0};
	return NULL;
}

struct err *send_describe_machine(const struct machine *machine, char **ret_json)
{
	CLEANUP_JSON json_t *json = machine_to_json(machine);
	CLEANUP_FREE char *text = json_dumps(json, JSON_COMPACT);

	if (!text)
		return err_nomem();
	if (strlen(text) > WIRE_MAX_MACHINE_BYTES)
		return err_failed("there is too much to tell of this machine");
	*ret_json = take_ptr(text);
	return NULL;
}

/* The first thing that keeps it from working. */
static struct err *tell_findings(const struct layout *layout, const struct log *log)
{
	for (size_t i = 0; i < layout->finding_count; i++) {
		const struct layout_finding *finding = &layout->findings[i];

		if (finding->level == FINDING_STOP)
			return err_advise(err_refused("%s", finding->text), "%s",
					  finding->advice ? finding->advice : "'p2v scan' tells more");
		if (finding->level == FINDING_WARNING)
			log_warning(log, "%s%s%s", finding->text, finding->advice ? "; " : "",
				    finding->advice ? finding->advice : "");
	}
	return NULL;
}

struct err *send_choose_disks(const struct log *log, struct strv *ret_disks)
{
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_LAYOUT struct layout layout = {0};

	TRY(discover_machine("", &machine));
	TRY(layout_choose(&machine, NULL, &layout));
	TRY(tell_findings(&layout, log));
	for (size_t i = 0; i < layout.disk_count; i++)
		if (layout.disks[i].is_taken)
			strv_add(ret_disks, layout.disks[i].source);
	if (!ret_disks->count)
		return err_advise(err_refused("no disk of this machine would be taken"),
				  "'p2v scan' tells why; name what you want with --disk");
	return NULL;
}
