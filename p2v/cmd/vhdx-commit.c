/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx commit: merges a differencing VHDX into its parent. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/vhdx.h"

enum { OPT_REMOVE = 256, OPT_THREADS, OPT_JSON };

static const struct option long_options[] = {
	{"remove", no_argument, NULL, OPT_REMOVE}, {"threads", required_argument, NULL, OPT_THREADS},
	{"json", no_argument, NULL, OPT_JSON},	   {"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},	   {0},
};

struct commit_options {
	const char *child;
	unsigned threads;
	bool remove, json, verbose;
};

static void print_help(void)
{
	fputs("p2v vhdx commit CHILD [options]\n"
	      "\n"
	      "Writes what a differencing VHDX holds into its parent, which then reads as CHILD does.  "
	      "CHILD\n"
	      "is emptied and goes on to read the same.  Other files made over the same parent are of no "
	      "use\n"
	      "afterwards.  No other program may use the two files meanwhile.  If it is interrupted, "
	      "nothing\n"
	      "is lost: repeat it.\n"
	      "\n"
	      "  --remove     remove CHILD in the end\n"
	      "  --threads N  that read and write at once (default: by the processors)\n"
	      "  --json       progress and result as JSON\n"
	      "  --verbose    tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct commit_options *options = arg;

	if (option == OPT_THREADS)
		return vhdx_take_threads(&options->threads);
	options->remove |= option == OPT_REMOVE;
	options->json |= option == OPT_JSON;
	options->verbose |= option == 'v';
	return NULL;
}

static struct err *merge(const struct commit_options *options, struct blk *child)
{
	enum progress_style style = options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct vhdx_merge_options merge = {
		.threads = options->threads,
		.progress = progress_create(stderr, style, "commit", child->size_bytes),
	};
	struct err *err = vhdx_merge(child, &merge);

	progress_destroy(merge.progress);
	return err;
}

static struct err *report(const struct commit_options *options, const char *parent)
{
	json_t *json;

	if (!options->json) {
		printf("%s: is now in %s%s\n", options->child, parent, options->remove ? "; removed" : "");
		return NULL;
	}
	json = json_object();
	json_set_string(json, "child", options->child);
	json_set_string(json, "parent", parent);
	json_set_bool(json, "removed", options->remove);
	return vhdx_print_json(json);
}

static struct err *commit(const struct commit_options *options)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_FREE char *parent = NULL;
	enum image_format format;
	struct blk *child;
	struct err *err;

	TRY(image_probe(options->child, &format));
	if (format != IMAGE_VHDX)
		return err_advise(err_refused("%s: is no VHDX", options->child),
				  "name a VHDX that was made over another");
	TRY(vhdx_open(options->child, VHDX_OPEN_WRITE | VHDX_OPEN_MERGE, &log, &child));
	parent = vhdx_parent(child) ? xstrdup(vhdx_parent(child)->name) : NULL;
	err = merge(options, child);
	TRY(err_first(err, blk_close(child)));
	if (options->remove && unlink(options->child))
		return err_from_errno(errno, "%s: is in %s, but cannot be removed", options->child, parent);
	return report(options, parent);
}

struct err *vhdx_cmd_commit(int argc, char **argv)
{
	struct commit_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	TRY(vhdx_check_arguments(argc, argv, 1, "the image is"));
	options.child = argv[optind];
	return commit(&options);
}
