/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v convert: inspect, plan, copy and apply at once, finish, describe.
 *
 * Nothing is copied before the plan stands; nothing has its final name before
 * everything is whole; what fails leaves nothing behind (the working folder is
 * scratch until it is renamed).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/rehearse.h"
#include "p2v/guest/fill.h"
#include "vhdx/vhdx.h"

static double seconds_since(uint64_t start_ns)
{
	return (run_now_ns() - start_ns) / 1e9;
}

static char *result_path(const struct convert_options *options)
{
	return xasprintf("%s/%s", options->out, options->name);
}

/* OUT must be a folder that we can write to, and OUT/NAME must not exist. */
static struct err *prepare_output(struct conversion *c)
{
	CLEANUP_FREE char *result = NULL, *prefix = NULL;

	if (c->options->dry_run || c->options->in_place)
		return scratch_create(cmd_temporary_dir(), "p2v-convert", &c->temporary);
	result = result_path(c->options);
	if (mkdir(c->options->out, 0755) && errno != EEXIST)
		return err_advise(err_as(err_from_errno(errno, "%s", c->options->out), ERR_REFUSED),
				  "name a folder that can be made and written with --out");
	if (!access(result, F_OK))
		return err_advise(err_refused("%s: exists already", result),
				  "choose another --name, or remove it");
	prefix = xasprintf(".%s.p2v", c->options->name);
	TRY(err_as(scratch_create(c->options->out, prefix, &c->work), ERR_REFUSED));
	return err_as(scratch_create(c->options->out, ".p2v-tmp", &c->temporary), ERR_REFUSED);
}

static struct err *find_data(struct conversion *c)
{
	for (size_t i = 0; i < c->session.disk_count; i++) {
		TRY(source_find_data(&c->session.disks[i].source));
		c->data_bytes += extents_total_bytes(&c->session.disks[i].source.data);
	}
	return NULL;
}

static struct err *apply(struct conversion *c)
{
	TRY(plan_apply(c->plan, c->log));
	return session_release_guest(&c->session);
}

/* Starts to copy every disk, applies the plan meanwhile, and waits for the rest. */
static struct err *copy_and_apply(struct conversion *c, struct progress *progress)
{
	CLEANUP_FREE struct fill **fills = xcalloc(c->session.disk_count, sizeof *fills);
	struct err *err = NULL;

	for (size_t i = 0; i < c->session.disk_count && !err; i++)
		err = fill_start(server_uri(c->session.disks[i].server), &c->session.disks[i].source.data,
				 progress, &fills[i]);
	if (!err)
		err = apply(c);
	for (size_t i = 0; i < c->session.disk_count; i++) {
		if (err)
			fill_abandon(fills[i]);
		else
			err = fill_finish(fills[i]);
	}
	return err;
}

static struct err *copy_with_progress(struct conversion *c)
{
	enum progress_style style = c->options->json ? PROGRESS_JSON : PROGRESS_AUTO;
	struct progress *progress = progress_create(stderr, style, "copy", c->data_bytes);
	struct err *err = copy_and_apply(c, progress);

	progress_destroy(progress);
	return err;
}

static struct err *finish_images(struct conversion *c)
{
	TRY(session_stop_serving(&c->session));
	for (size_t i = 0; i < c->session.disk_count; i++) {
		struct blk *blk = NULL;
		struct err *err;

		TRY(vhdx_open(c->session.disks[i].file, VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE, c->log,
			      &blk));
		err = vhdx_finish(blk);
		TRY(err_first(err, blk_close(blk)));
	}
	return NULL;
}

static struct err *change_in_place(struct conversion *c)
{
	TRY(apply(c));
	return session_stop_serving(&c->session);
}

static struct err *copy(struct conversion *c)
{
	TRY(convert_check_space(c, c->options->out));
	return copy_with_progress(c);
}

static struct err *make_result(struct conversion *c)
{
	uint64_t start_ns = run_now_ns();

	if (c->options->in_place)
		return change_in_place(c);
	TRY(find_data(c));
	TRY(c->is_filled ? apply(c) : copy(c));
	c->times.copy_and_apply = seconds_since(start_ns);
	start_ns = run_now_ns();
	TRY(finish_images(c));
	c->times.finish = seconds_since(start_ns);
	return convert_write_output(c);
}

static struct err *open_session(struct conversion *c)
{
	if (c->options->wait)
		return convert_wait(c);
	return session_open(&c->options->sources, scratch_path(c->work ? c->work : c->temporary),
			    c->options->in_place && !c->options->dry_run ? SESSION_IN_PLACE : 0, c->log,
			    &c->session);
}

static struct err *convert(struct conversion *c)
{
	CLEANUP_FREE char *result = NULL;
	uint64_t start_ns = c->times.started_ns = run_now_ns();

	TRY(prepare_output(c));
	TRY(open_session(c));
	if (c->options->wait)
		start_ns = run_now_ns();
	TRY(session_inspect(&c->session));
	c->times.inspect = seconds_since(start_ns);
	start_ns = run_now_ns();
	TRY(convert_make_plan(c));
	c->times.plan = seconds_since(start_ns);
	if (c->options->dry_run)
		return convert_print(c, NULL);
	TRY(make_result(c));
	if (c->options->out)
		result = result_path(c->options);
	return convert_print(c, result);
}

void convert_deinit(struct conversion *c)
{
	/* The plan reads through the guest, the guest ends with the session. */
	plan_destroy(c->plan);
	session_close(&c->session);
	inject_result_deinit(&c->drivers);
	json_decref(c->changes);
	strv_deinit(&c->descriptions);
	scratch_destroy(c->temporary);
	scratch_destroy(c->work);
}

struct err *cmd_convert(int argc, char **argv)
{
	struct convert_options options = {0};
	bool help = false;
	struct err *err = convert_options_parse(argc, argv, &options, &help);

	if (!err && !help) {
		struct log log = cmd_log(options.verbose);
		struct conversion conversion = {.options = &options, .log = &log};

		err = options.rehearse ? rehearse(&options, &log) : convert(&conversion);
		convert_deinit(&conversion);
	}
	convert_options_deinit(&options);
	return err;
}
