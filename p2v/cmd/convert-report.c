/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a conversion did: as report.json, and in a few lines for people. */
#include <stdio.h>
#include <string.h>

#include "p2v/base/run.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/handover/handover.h"

#define REPORT_JSON_VERSION 1

static json_t *targets_to_json(unsigned targets)
{
	json_t *json = json_array();

	for (unsigned target = 1; target <= TARGET_XEN; target <<= 1)
		if (targets & target)
			json_array_append_new(json, json_string(target_name(target)));
	return json;
}

static json_t *strings_to_json(const struct strv *strings)
{
	json_t *json = json_array();

	for (size_t i = 0; i < strings->count; i++)
		json_array_append_new(json, json_string(strings->items[i]));
	return json;
}

static json_t *kernels_to_json(const struct inject_result *drivers)
{
	json_t *json = json_array();

	for (size_t i = 0; i < drivers->kernel_count; i++) {
		const struct inject_kernel_result *kernel = &drivers->kernels[i];
		json_t *entry = json_object();

		json_set_string(entry, "version", kernel->version);
		json_object_set_new(entry, "bootable_on", targets_to_json(kernel->bootable_targets));
		json_object_set_new(entry, "drivers", strings_to_json(&kernel->drivers));
		json_array_append_new(json, entry);
	}
	return json;
}

static json_t *sources_to_json(const struct conversion *c)
{
	json_t *json = json_array();

	for (size_t i = 0; i < c->session.disk_count; i++) {
		const struct source *source = &c->session.disks[i].source;
		json_t *entry = json_object();

		json_set_string(entry, "path", source->path);
		json_set_string(entry, "format", image_format_name(source->format));
		json_set_u64(entry, "size_bytes", source->blk->size_bytes);
		json_array_append_new(json, entry);
	}
	return json;
}

static json_t *figures_to_json(const struct conversion *c)
{
	json_t *json = json_object();

	json_set_u64(json, "data_bytes", c->data_bytes);
	if (c->options->wait)
		json_object_set_new(json, "take_over_seconds", json_real(c->times.take_over));
	json_object_set_new(json, "inspect_seconds", json_real(c->times.inspect));
	json_object_set_new(json, "plan_seconds", json_real(c->times.plan));
	json_object_set_new(json, "copy_and_apply_seconds", json_real(c->times.copy_and_apply));
	json_object_set_new(json, "finish_seconds", json_real(c->times.finish));
	json_object_set_new(json, "total_seconds", json_real((run_now_ns() - c->times.started_ns) / 1e9));
	return json;
}

json_t *convert_report(const struct conversion *c)
{
	json_t *json = json_object();

	json_set_u64(json, "p2v_report", REPORT_JSON_VERSION);
	json_set_string(json, "p2v_version", P2V_VERSION);
	json_set_string(json, "name", c->options->name);
	json_set_bool(json, "dry_run", c->options->dry_run);
	json_object_set_new(json, "targets", targets_to_json(c->options->targets));
	json_set_string(json, "format", output_format_name(c->options->format));
	json_object_set_new(json, "sources", sources_to_json(c));
	json_object_set(json, "changes", json_object_get(c->changes, "changes"));
	json_object_set(json, "findings", json_object_get(c->changes, "findings"));
	json_object_set_new(json, "kernels", kernels_to_json(&c->drivers));
	json_object_set_new(json, "descriptions", strings_to_json(&c->descriptions));
	json_object_set_new(json, "figures", figures_to_json(c));
	return json;
}

static void print_machine(const struct conversion *c)
{
	const struct machine *machine = &c->session.machine;
	char size[FORMAT_BYTES];

	printf("%s: %s, %s, %s", c->options->name, machine->os.name, machine->os.arch,
	       machine->firmware == FIRMWARE_UEFI ? "UEFI" : "BIOS");
	for (size_t i = 0; i < machine->disk_count; i++)
		printf(", disk of %s", format_size(machine->disks[i].size_bytes, size));
	for (size_t i = 0; i < machine->nic_count; i++)
		printf(", %s (%s%s)", machine->nics[i].name, machine->nics[i].mac,
		       machine->nics[i].mac_is_made_up ? ", made up" : "");
	putchar('\n');
}

void convert_print_findings(const struct conversion *c)
{
	size_t index;
	json_t *finding;

	json_array_foreach (json_object_get(c->changes, "findings"), index, finding)
		printf("%s: %s\n", json_string_or(finding, "severity", "note"),
		       json_string_or(finding, "text", ""));
}

static void print_changes(const struct conversion *c)
{
	json_t *changes = json_object_get(c->changes, "changes");
	json_t *change;
	size_t index;

	if (!json_array_size(changes))
		puts("nothing to change: it is fit for the target as it is");
	json_array_foreach (changes, index, change)
		printf("  %s %s: %s\n", json_string_or(change, "action", ""),
		       json_string_or(change, "path", ""), json_string_or(change, "reason", ""));
}

static void print_result(const struct conversion *c, const char *result_dir)
{
	char size[FORMAT_BYTES];

	printf("%s in %.0f s\n", format_size(c->data_bytes, size),
	       (run_now_ns() - c->times.started_ns) / 1e9);
	for (size_t i = 0; i < c->session.machine.disk_count; i++)
		printf("  %s/%s\n", result_dir, c->session.machine.disks[i].file);
	for (size_t i = 0; i < c->descriptions.count; i++)
		printf("  %s/%s\n", result_dir, c->descriptions.items[i]);
	printf("  %s/report.json\nnext: p2v prove %s\n", result_dir, result_dir);
}

static struct err *print_report(const struct conversion *c)
{
	CLEANUP_JSON json_t *report = convert_report(c);

	if (json_dumpf(report, stdout, JSON_INDENT(2)))
		return err_failed("cannot write to standard output");
	putchar('\n');
	return NULL;
}

struct err *convert_print(const struct conversion *c, const char *result_dir)
{
	CLEANUP_TEXT struct text diff = {0};

	if (c->options->json)
		return print_report(c);
	print_machine(c);
	if (c->options->dry_run) {
		TRY(plan_format(c->plan, &diff));
		if (plan_is_empty(c->plan))
			print_changes(c);
		fwrite(diff.data, 1, diff.bytes, stdout);
		puts("dry run: nothing was changed");
		return NULL;
	}
	print_changes(c);
	convert_print_findings(c);
	if (result_dir)
		print_result(c, result_dir);
	return NULL;
}
