/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx check: whether a VHDX or VHD is sound. */
#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/json.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/vhd.h"
#include "vhdx/vhdx.h"

static void print_help(void)
{
	fputs("p2v vhdx check FILE [options]\n"
	      "\n"
	      "Reads all structures of a VHDX or VHD and lists what is wrong with them.  FILE is only read.\n"
	      "Exit code 0: no error (there may be warnings); 1: errors; 3: neither a VHDX nor a VHD.\n"
	      "\n"
	      "  --json       the findings on standard output\n"
	      "  --verbose    tell each step\n",
	      stdout);
}

/* Where findings go: printed, or collected for --json. */
struct findings {
	const struct look_options *options;
	json_t *list; /* NULL: printed */
	struct vhdx_check_result result;
};

static void add_finding(struct findings *findings, const char *severity, const uint64_t *file_offset,
			const char *text)
{
	json_t *json;

	if (!findings->list) {
		if (file_offset)
			printf("%s at byte %" PRIu64 " of the file: %s\n", severity, *file_offset, text);
		else
			printf("%s: %s\n", severity, text);
		return;
	}
	json = json_object();
	json_set_string(json, "severity", severity);
	if (file_offset)
		json_set_u64(json, "file_offset", *file_offset);
	json_set_string(json, "text", text);
	json_array_append_new(findings->list, json);
}

static void take_vhdx_finding(void *arg, const struct vhdx_finding *finding)
{
	add_finding(arg, finding->severity == VHDX_ERROR ? "error" : "warning", &finding->file_offset,
		    finding->text);
}

static void take_vhd_warning(void *arg, enum log_level level, const char *message)
{
	struct findings *findings = arg;

	if (level != LOG_LEVEL_WARNING)
		return;
	add_finding(findings, "warning", NULL, message);
	findings->result.warnings++;
}

/* Opening a VHD is its check: the first thing that is wrong ends it. */
static struct err *check_vhd(struct findings *findings)
{
	struct log log = {.write = take_vhd_warning, .arg = findings, .max_level = LOG_LEVEL_WARNING};
	CLEANUP_BLK struct blk *vhd = NULL;
	CLEANUP_ERR struct err *err = vhd_open(findings->options->file, VHD_OPEN_INSPECT, &log, &vhd);
	struct vhd_info info;

	if (err && err_kind(err) != ERR_REFUSED)
		return take_ptr(err);
	if (err) {
		add_finding(findings, "error", NULL, err_message(err));
		findings->result.errors++;
	} else {
		vhd_get_info(vhd, &info);
		findings->result.blocks_checked = info.block_count;
	}
	return NULL;
}

static struct err *print_summary(const struct findings *findings, enum image_format format)
{
	const struct vhdx_check_result *result = &findings->result;
	json_t *json;

	if (!findings->list) {
		printf("%s: %" PRIu64 " errors, %" PRIu64 " warnings, %" PRIu64 " blocks looked at\n",
		       findings->options->file, result->errors, result->warnings, result->blocks_checked);
		return NULL;
	}
	json = json_object();
	json_set_string(json, "file", findings->options->file);
	json_set_string(json, "format", image_format_name(format));
	json_set_u64(json, "errors", result->errors);
	json_set_u64(json, "warnings", result->warnings);
	json_set_u64(json, "blocks_checked", result->blocks_checked);
	json_object_set(json, "findings", findings->list);
	return vhdx_print_json(json);
}

static struct err *check(struct findings *findings)
{
	const char *path = findings->options->file;
	enum image_format format;

	TRY(image_probe(path, &format));
	if (format == IMAGE_VHDX)
		TRY(vhdx_check(path, take_vhdx_finding, findings, &findings->result));
	else if (format == IMAGE_VHD)
		TRY(check_vhd(findings));
	else
		return err_advise(
			err_refused("%s: is %s: neither VHDX nor VHD", path, image_format_name(format)),
			format == IMAGE_RAW ? "a raw image has no structures to check"
					    : "'qemu-img check' knows that format");
	TRY(print_summary(findings, format));
	if (!findings->result.errors)
		return NULL;
	return err_advise(err_failed("%s: is damaged: %" PRIu64 " errors", path, findings->result.errors),
			  format == IMAGE_VHDX ? "copy it again from where it came; 'p2v vhdx repair "
						 "--dry-run' tells what can be saved"
					       : "copy it again from where it came, or restore it");
}

struct err *vhdx_cmd_check(int argc, char **argv)
{
	struct look_options options = {0};
	struct findings findings = {.options = &options};
	CLEANUP_JSON json_t *list = NULL;
	bool help = false;

	TRY(vhdx_take_look_options(argc, argv, print_help, &options, &help));
	if (help)
		return NULL;
	if (options.json)
		findings.list = list = json_array();
	return check(&findings);
}
