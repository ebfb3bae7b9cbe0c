/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v vhdx repair: puts a damaged VHDX right, in place with a backup of what it
 * overwrites, or in a copy.  What is done is told before, what is lost too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/base/output.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/convert.h"
#include "vhdx/repair.h"

enum { OPT_BACKUP = 256, OPT_OUTPUT, OPT_UNDO, OPT_DRY_RUN, OPT_COMPLETE, OPT_JSON };

static const struct option long_options[] = {
	{"backup", required_argument, NULL, OPT_BACKUP},
	{"output", required_argument, NULL, OPT_OUTPUT},
	{"undo", required_argument, NULL, OPT_UNDO},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"complete", no_argument, NULL, OPT_COMPLETE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct repair_options {
	const char *file;
	const char *backup; /* NULL: beside the file */
	const char *output; /* NULL: in place */
	const char *undo;
	unsigned flags; /* VHDX_REPAIR_ */
	bool dry_run, json, verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx repair FILE [options]\n"
	      "p2v vhdx repair --undo BACKUP FILE\n"
	      "\n"
	      "Puts a damaged VHDX right as far as that can be done, and lists what could not be saved.  "
	      "What\n"
	      "is overwritten goes into a backup file first.  No other program may use FILE meanwhile.\n"
	      "Exit code 0: all is well now; 1: repaired, but parts of the disk are lost or in doubt; 3: "
	      "not\n"
	      "repaired, and FILE is as it was.\n"
	      "\n"
	      "  --dry-run        only tell what would be done\n"
	      "  --backup BACKUP  where to keep what is overwritten (default: FILE.before-repair)\n"
	      "  --output NEW     leave FILE alone and make a repaired copy\n"
	      "  --undo BACKUP    put back what a repair has overwritten\n"
	      "  --complete       accept an incomplete file: one that was never written to the end\n"
	      "  --json           the account on standard output\n"
	      "  --verbose        tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct repair_options *options = arg;

	if (option == OPT_BACKUP)
		options->backup = optarg;
	else if (option == OPT_OUTPUT)
		options->output = optarg;
	else if (option == OPT_UNDO)
		options->undo = optarg;
	else if (option == OPT_COMPLETE)
		options->flags |= VHDX_REPAIR_COMPLETE;
	options->dry_run |= option == OPT_DRY_RUN;
	options->json |= option == OPT_JSON;
	options->verbose |= option == 'v';
	return NULL;
}

/* Options that contradict one another. */
static struct err *check_options(const struct repair_options *options)
{
	const char *advice = "'p2v vhdx repair --help' tells what goes with what";

	if (options->backup && options->output)
		return err_advise(
			err_usage("vhdx repair: --output overwrites nothing, so there is nothing to "
				  "back up"),
			"leave --backup out");
	if (options->undo && (options->backup || options->output || options->dry_run || options->flags))
		return err_advise(err_usage("vhdx repair: --undo goes with no other option"), "%s", advice);
	return NULL;
}

static json_t *steps_to_json(const struct vhdx_repair_step *steps, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *json = json_object();

		json_set_u64(json, "file_offset", steps[i].file_offset);
		json_set_string(json, "text", steps[i].text);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *losses_to_json(const struct vhdx_repair_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->loss_count; i++) {
		const struct vhdx_loss *loss = &summary->losses[i];
		json_t *json = json_object();

		json_set_string(json, "kind", loss->kind == VHDX_LOSS_GONE ? "lost" : "doubt");
		json_set_u64(json, "offset", loss->offset);
		json_set_u64(json, "len_bytes", loss->len_bytes);
		json_set_string(json, "text", loss->text);
		json_array_append_new(list, json);
	}
	return list;
}

static struct err *print_json(const struct repair_options *options, const struct vhdx_repair_summary *summary,
			      const char *backup)
{
	bool changes = summary->needed && !options->dry_run;
	json_t *json = json_object();

	json_set_string(json, "file", options->file);
	json_set_bool(json, "needed", summary->needed);
	json_set_bool(json, "repaired", changes);
	json_set_string(json, "backup", changes ? backup : NULL);
	json_set_string(json, "output", changes ? options->output : NULL);
	json_object_set_new(json, "steps", steps_to_json(summary->steps, summary->step_count));
	json_object_set_new(json, "losses", losses_to_json(summary));
	json_object_set_new(json, "left", steps_to_json(summary->left, summary->left_count));
	return vhdx_print_json(json);
}

static void print_plan(const struct vhdx_repair_summary *summary)
{
	for (size_t i = 0; i < summary->step_count; i++)
		printf("at byte %" PRIu64 " of the file: %s\n", summary->steps[i].file_offset,
		       summary->steps[i].text);
	for (size_t i = 0; i < summary->loss_count; i++)
		printf("%s: bytes %" PRIu64 " to %" PRIu64 " of the disk: %s\n",
		       vhdx_loss_kind_name(summary->losses[i].kind), summary->losses[i].offset,
		       summary->losses[i].offset + summary->losses[i].len_bytes, summary->losses[i].text);
	for (size_t i = 0; i < summary->left_count; i++)
		printf("stays as it is, at byte %" PRIu64 " of the file: %s\n", summary->left[i].file_offset,
		       summary->left[i].text);
	/* What follows takes its time, or may fail. */
	fflush(stdout);
}

/* The backup lies whole and durable beside the file before the file is touched. */
static struct err *write_backup(const struct vhdx_repair *repair, const char *path)
{
	CLEANUP_OUTPUT struct output *output = NULL;
	struct blk *backup;
	struct err *err;

	TRY(output_begin(path, &output));
	TRY(blk_file_open(output_path(output), BLK_FILE_WRITE | BLK_FILE_CREATE, 0, &backup));
	err = vhdx_repair_back_up(repair, backup);
	TRY(err_wrap(err_first(err, blk_close(backup)), "the backup"));
	return output_commit(output);
}

static struct err *repair_in_place(const struct repair_options *options, const struct vhdx_repair *repair,
				   const char *backup_path)
{
	CLEANUP_BLK struct blk *file = NULL;
	struct err *err;

	TRY(err_advise(err_as(blk_file_open(options->file, BLK_FILE_WRITE, 0, &file), ERR_REFUSED),
		       "repair it as one who may write it, or into a copy with --output"));
	TRY(err_advise(err_as(write_backup(repair, backup_path), ERR_REFUSED),
		       "name another place with --backup, or repair into a copy with --output"));
	err = vhdx_repair_apply(repair, file);
	if (!err)
		err = blk_close(take_ptr(file));
	return err_advise(err_wrap(err, "repaired in part only"),
			  "'p2v vhdx repair --undo %s %s' puts it back", backup_path, options->file);
}

static struct err *repair_copy(const struct repair_options *options, const struct vhdx_repair *repair,
			       struct blk *source)
{
	enum progress_style style = options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct image_convert_options convert = {0};
	CLEANUP_OUTPUT struct output *output = NULL;
	struct blk *target;
	struct err *err;

	TRY(output_begin(options->output, &output));
	TRY(blk_file_open(output_path(output), BLK_FILE_WRITE | BLK_FILE_CREATE, source->size_bytes,
			  &target));
	convert.progress = progress_create(stderr, style, "copy", source->size_bytes);
	err = image_convert(source, target, &convert);
	progress_destroy(convert.progress);
	if (!err)
		err = vhdx_repair_apply(repair, target);
	TRY(err_first(err, blk_close(target)));
	return output_commit(output);
}

/* What the exit code says. */
static struct err *verdict(const struct repair_options *options, const struct vhdx_repair_summary *summary)
{
	const char *what = options->output ? options->output : options->file;
	const char *would = options->dry_run ? "can be repaired" : "is repaired";
	uint64_t gone = 0, doubt = 0;

	for (size_t i = 0; i < summary->loss_count; i++)
		*(summary->losses[i].kind == VHDX_LOSS_GONE ? &gone : &doubt) += 1;
	if (gone || doubt)
		return err_advise(err_failed("%s: %s, but %" PRIu64 " parts of the disk are lost and %" PRIu64
					     " in doubt",
					     what, would, gone, doubt),
				  "check the file systems on it, and restore from a backup what is missing");
	if (summary->left_count)
		return err_advise(err_failed("%s: %s, but %zu errors stay", what, would, summary->left_count),
				  "it can be read; 'p2v vhdx convert' makes a sound copy of what it holds");
	return NULL;
}

static void print_outcome(const struct repair_options *options, const struct vhdx_repair_summary *summary,
			  const char *backup)
{
	if (!summary->needed)
		printf("%s: nothing is wrong, nothing was done\n", options->file);
	else if (options->dry_run)
		printf("%s: nothing was done (--dry-run)\n", options->file);
	else if (options->output)
		printf("%s: repaired in the copy %s\n", options->file, options->output);
	else
		printf("%s: repaired; %s holds what was overwritten\n", options->file, backup);
}

static struct err *repair(const struct repair_options *options)
{
	CLEANUP_FREE char *backup =
		options->backup ? xstrdup(options->backup) : xasprintf("%s.before-repair", options->file);
	CLEANUP_VHDX_REPAIR struct vhdx_repair *plan = NULL;
	CLEANUP_BLK struct blk *file = NULL;
	struct vhdx_repair_summary summary;

	TRY(err_advise(err_as(blk_file_open(options->file, 0, 0, &file), ERR_REFUSED), "name a VHDX file"));
	TRY(vhdx_repair_plan(file, options->flags, &plan));
	summary = vhdx_repair_summarize(plan);
	if (!options->json)
		print_plan(&summary);
	if (summary.needed && !options->dry_run)
		TRY(options->output ? repair_copy(options, plan, file)
				    : repair_in_place(options, plan, backup));
	if (options->json)
		TRY(print_json(options, &summary, options->output ? NULL : backup));
	else
		print_outcome(options, &summary, backup);
	return verdict(options, &summary);
}

static struct err *undo(const struct repair_options *options)
{
	CLEANUP_BLK struct blk *file = NULL;
	CLEANUP_BLK struct blk *backup = NULL;

	TRY(err_advise(err_as(blk_file_open(options->undo, 0, 0, &backup), ERR_REFUSED),
		       "name the backup of a repair"));
	TRY(err_advise(err_as(blk_file_open(options->file, BLK_FILE_WRITE, 0, &file), ERR_REFUSED),
		       "name the file that was repaired, as one who may write it"));
	TRY(vhdx_repair_undo(file, backup));
	if (!options->json)
		printf("%s: is as it was before its repair; %s is no longer needed\n", options->file,
		       options->undo);
	return NULL;
}

struct err *vhdx_cmd_repair(int argc, char **argv)
{
	struct repair_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 1, "the image is"));
	TRY(check_options(&options));
	options.file = argv[optind];
	return options.undo ? undo(&options) : repair(&options);
}
