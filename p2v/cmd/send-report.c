/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/send-report.h"

#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/format.h"
#include "p2v/base/json.h"

#define NS_PER_SECOND 1e9

void send_report_changes(const struct send_disks *disks, const struct log *log)
{
	for (size_t i = 0; i < disks->count; i++) {
		uint64_t bytes;
		char text[FORMAT_BYTES];

		if (send_disk_has_changed(&disks->disks[i], &bytes))
			log_warning(log, "%s: %s written while it was read: the copy is not of one moment",
				    disks->disks[i].path, bytes ? format_size(bytes, text) : "something was");
	}
}

void send_report_unreadable(const struct send_disks *disks, const struct sender_result *result,
			    const struct log *log)
{
	for (size_t i = 0; i < result->disk_count; i++)
		for (size_t k = 0; k < result->unreadable[i].count; k++) {
			const struct extent *range = &result->unreadable[i].ranges[k];

			log_warning(log, "%s: cannot be read: %" PRIu64 " bytes at offset %" PRIu64,
				    disks->disks[i].path, range->end - range->start, range->start);
		}
}

static json_t *disk_to_json(const struct send_disk *disk, uint64_t size_bytes,
			    const struct extents *unreadable)
{
	json_t *json = json_object(), *ranges = json_array();
	uint64_t changed_bytes;

	json_set_string(json, "source", disk->path);
	json_set_string(json, "id", disk->id);
	json_set_u64(json, "size_bytes", size_bytes);
	json_set_u64(json, "used_bytes", disk->used_bytes);
	json_set_bool(json, "changed", send_disk_has_changed(disk, &changed_bytes));
	for (size_t i = 0; i < unreadable->count; i++) {
		json_t *range = json_object();

		json_set_u64(range, "start_bytes", unreadable->ranges[i].start);
		json_set_u64(range, "end_bytes", unreadable->ranges[i].end);
		json_array_append_new(ranges, range);
	}
	json_object_set_new(json, "unreadable", ranges);
	return json;
}

static json_t *cutover_to_json(const struct sender_cutover *cutover)
{
	json_t *json = json_object();

	json_object_set_new(json, "freeze_seconds", json_real(cutover->freeze_ns / NS_PER_SECOND));
	json_set_u64(json, "rest_bytes", cutover->rest_bytes);
	json_object_set_new(json, "send_seconds", json_real(cutover->send_ns / NS_PER_SECOND));
	json_object_set_new(json, "commit_seconds", json_real(cutover->commit_ns / NS_PER_SECOND));
	return json;
}

static struct err *report_json(const struct send_disks *disks, const struct sender_result *result)
{
	CLEANUP_JSON json_t *json = json_object();
	json_t *array = json_array();
	char root[2 * WIRE_ROOT_BYTES + 1];

	for (size_t i = 0; i < sizeof result->root.bytes; i++)
		snprintf(root + 2 * i, 3, "%02x", result->root.bytes[i]);
	json_set_string(json, "root", root);
	json_set_u64(json, "read_bytes", result->read_bytes);
	json_set_u64(json, "content_bytes", result->content_bytes);
	json_set_u64(json, "wire_bytes", result->wire_bytes);
	if (result->cutover.freeze_ns)
		json_object_set_new(json, "cutover", cutover_to_json(&result->cutover));
	json_object_set_new(json, "disks", array);
	for (size_t i = 0; i < disks->count; i++)
		json_array_append_new(array,
				      disk_to_json(&disks->disks[i], disks->for_sender[i].blk->size_bytes,
						   &result->unreadable[i]));
	if (json_dumpf(json, stdout, JSON_INDENT(2)) || putchar('\n') == EOF)
		return err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	return NULL;
}

static void print_cutover(const struct sender_cutover *cutover)
{
	uint64_t all_ns = cutover->freeze_ns + cutover->send_ns + cutover->commit_ns;
	char rest[FORMAT_BYTES];

	printf("cutover: %.2f s to hold the server, %.2f s for the last %s, %.2f s to complete the copy: "
	       "%.2f s "
	       "in all\n",
	       cutover->freeze_ns / NS_PER_SECOND, cutover->send_ns / NS_PER_SECOND,
	       format_size(cutover->rest_bytes, rest), cutover->commit_ns / NS_PER_SECOND,
	       all_ns / NS_PER_SECOND);
}

struct err *send_report(const char *job, bool as_json, const struct send_disks *disks,
			const struct sender_result *result)
{
	char read_text[FORMAT_BYTES], content[FORMAT_BYTES], wire[FORMAT_BYTES];

	if (as_json)
		return report_json(disks, result);
	printf("job %s is complete: %s read, %s differed, %s went over the wire\n", job,
	       format_size(result->read_bytes, read_text), format_size(result->content_bytes, content),
	       format_size(result->wire_bytes, wire));
	if (result->cutover.freeze_ns)
		print_cutover(&result->cutover);
	return NULL;
}

void send_report_disks(const struct send_disks *disks)
{
	CLEANUP_JSON json_t *json = json_object();
	json_t *array = json_array();

	json_object_set_new(json, "disks", array);
	for (size_t i = 0; i < disks->count; i++) {
		json_t *disk = json_object();

		json_set_string(disk, "source", disks->disks[i].path);
		json_set_u64(disk, "size_bytes", disks->for_sender[i].blk->size_bytes);
		json_set_u64(disk, "used_bytes", disks->disks[i].used_bytes);
		json_array_append_new(array, disk);
	}
	json_dumpf(json, stderr, JSON_COMPACT);
	fputc('\n', stderr);
}
