/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of `p2v convert`: options (convert-options.c), the flow
 * (convert.c), waiting for a job (convert-wait.c), the plan (convert-plan.c), what comes out
 * (convert-output.c) and the report (convert-report.c).
 */
#ifndef P2V_CMD_CONVERT_H
#define P2V_CMD_CONVERT_H

#include "inject-drivers/inject.h"
#include "p2v/base/scratch.h"
#include "p2v/cmd/session.h"
#include "p2v/guest/plan.h"
#include "p2v/handover/vm.h"

enum output_format { OUTPUT_VHDX, OUTPUT_QCOW2, OUTPUT_RAW, OUTPUT_VMDK };

const char *output_format_name(
	enum output_format format); /* "vhdx", also qemu-img's name and the extension */

struct convert_options {
	struct strv sources;
	const char *out;
	char *name;
	unsigned targets;
	enum output_format format;
	enum firmware firmware; /* FIRMWARE_UNKNOWN: as the source */
	struct strv macs; /* "NAME=MAC" */
	struct machine received; /* what a received job's machine told of itself */
	uint64_t memory_bytes; /* 0: not told */
	unsigned processors;
	char *job; /* the folder of a received job, if the source is one */
	bool dry_run, in_place, take_held, rehearse, prove, wait, json;
	unsigned verbose;
};

/* ret_options must be zero-initialised; the sources are then files and devices; *ret_help is set if --help
 * was asked for and printed. */
struct err *convert_options_parse(int argc, char **argv, struct convert_options *ret_options, bool *ret_help)
	ERR_MUST_CHECK;
void convert_options_deinit(struct convert_options *options);

/* What a machine is called unless the user says it: the file's name without its ending. */
char *convert_name_from_path(const char *path);

/* Seconds that the steps took, for the report. */
struct convert_times {
	uint64_t started_ns;
	double take_over; /* what was left to be copied; only after --wait */
	double inspect, plan, copy_and_apply, finish;
};

struct conversion {
	const struct convert_options *options;
	const struct log *log;
	struct scratch *work; /* becomes OUT/NAME; NULL where nothing is written there */
	struct scratch *temporary; /* large files on the way */
	struct session session;
	bool is_filled; /* the disks of the result have all that the sources have */
	struct plan *plan;
	struct inject_result drivers;
	bool has_signed_loader;
	json_t *changes; /* the plan's JSON, made before it is applied */
	struct strv descriptions; /* names of the files that define the VM */
	uint64_t data_bytes; /* what the sources hold */
	struct convert_times times;
};

/* Gives up what it holds; not what it refers to. */
void convert_deinit(struct conversion *conversion);
#define CLEANUP_CONVERSION CLEANUP(convert_deinit)

/* Opens the session of a job that need not be complete, and comes back when it is, and copied:
 * convert-wait.c. */
struct err *convert_wait(struct conversion *conversion) ERR_MUST_CHECK;

/* The virtual machine on that target, as it will be described; image_dir may be NULL. */
struct err *convert_derive_vm(const struct conversion *conversion, const struct machine *machine,
			      enum target target, const char *image_dir, struct vm *ret_vm) ERR_MUST_CHECK;

/* Completes the session's machine, names the images, and plans every change of its system. */
struct err *convert_make_plan(struct conversion *conversion) ERR_MUST_CHECK;

/* Finished images under their final names and in the chosen format, machine.json, VM definitions and
 * report.json, all in the working folder, which then becomes OUT/NAME. */
struct err *convert_write_output(struct conversion *conversion) ERR_MUST_CHECK;

/* ERR_REFUSED if the sources' data will not fit into the folder. */
struct err *convert_check_space(struct conversion *conversion, const char *folder) ERR_MUST_CHECK;

/* See p2v-report.json(5); the caller's reference. */
json_t *convert_report(const struct conversion *conversion);

/* On standard output: what is to be known of the system. */
void convert_print_findings(const struct conversion *conversion);

/* Says on standard output what was done, or what would be. */
struct err *convert_print(const struct conversion *conversion, const char *result_dir) ERR_MUST_CHECK;

#endif
