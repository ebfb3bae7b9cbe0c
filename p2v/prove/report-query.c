/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions about a report that was read, and its end. */
#include "p2v/prove/report.h"

#include <stdlib.h>
#include <string.h>

const struct report_mount *report_find_mount(const struct report *report, const char *folder)
{
	/* The last one is on top. */
	for (size_t i = report->mount_count; i--;)
		if (!strcmp(report->mounts[i].folder, folder))
			return &report->mounts[i];
	return NULL;
}

const struct report_block *report_find_block(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->block_count; i++)
		if (!strcmp(report->blocks[i].name, name))
			return &report->blocks[i];
	return NULL;
}

static void add_once(struct strv *list, const char *item)
{
	if (!strv_has(list, item))
		strv_add(list, item);
}

/* The device and all it lies on, each once, nearest first: the list is its own queue. */
static void walk_down(const struct report *report, const char *device, struct strv *ret_names)
{
	if (report_find_block(report, device))
		strv_add(ret_names, device);
	for (size_t at = 0; at < ret_names->count; at++) {
		const struct report_block *block = report_find_block(report, ret_names->items[at]);

		if (block->parent)
			add_once(ret_names, block->parent);
		for (size_t i = 0; i < block->slaves.count; i++)
			if (report_find_block(report, block->slaves.items[i]))
				add_once(ret_names, block->slaves.items[i]);
	}
}

void report_chain_drivers(const struct report *report, const char *device, struct strv *ret_drivers)
{
	CLEANUP_STRV struct strv seen = {0};

	walk_down(report, device, &seen);
	for (size_t i = 0; i < seen.count; i++) {
		const struct report_block *block = report_find_block(report, seen.items[i]);

		for (size_t k = 0; k < block->drivers.count; k++)
			add_once(ret_drivers, block->drivers.items[k]);
	}
}

void report_format_chain(const struct report *report, const char *device, struct text *ret_text)
{
	CLEANUP_STRV struct strv seen = {0};

	walk_down(report, device, &seen);
	if (!seen.count)
		text_addf(ret_text, "%s", device);
	for (size_t i = 0; i < seen.count; i++) {
		const struct report_block *block = report_find_block(report, seen.items[i]);

		text_addf(ret_text, "%s%s", i ? " on " : "", block->name);
		if (block->mapper_name)
			text_addf(ret_text, " (%s)", block->mapper_name);
	}
}

static void mount_deinit(struct report_mount *mount)
{
	free(mount->folder);
	free(mount->number);
	free(mount->type);
	free(mount->source);
	free(mount->device);
	free(mount->uuid);
}

static void block_deinit(struct report_block *block)
{
	free(block->name);
	free(block->number);
	free(block->parent);
	free(block->mapper_name);
	strv_deinit(&block->drivers);
	strv_deinit(&block->slaves);
}

static void nic_deinit(struct report_nic *nic)
{
	free(nic->name);
	free(nic->mac);
	free(nic->state);
	strv_deinit(&nic->drivers);
	strv_deinit(&nic->addresses);
}

static void unit_deinit(struct report_unit *unit)
{
	free(unit->name);
	free(unit->result);
	strv_deinit(&unit->log);
}

void report_deinit(struct report *report)
{
	for (size_t i = 0; i < report->mount_count; i++)
		mount_deinit(&report->mounts[i]);
	for (size_t i = 0; i < report->block_count; i++)
		block_deinit(&report->blocks[i]);
	for (size_t i = 0; i < report->nic_count; i++)
		nic_deinit(&report->nics[i]);
	for (size_t i = 0; i < report->failed_unit_count; i++)
		unit_deinit(&report->failed_units[i]);
	free(report->mounts);
	free(report->blocks);
	free(report->nics);
	free(report->failed_units);
	free(report->system.kernel);
	free(report->system.host);
	free(report->system.state);
	free(report->system.command_line);
	strv_deinit(&report->jobs);
	strv_deinit(&report->missing_mounts);
	*report = (struct report){0};
}
