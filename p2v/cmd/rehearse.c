/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * p2v convert --rehearse: the whole conversion, on a copy that is thrown away, of a server that still works;
 * and, if wanted, the proof.
 *
 * The file systems in that copy are as after a power cut, or worse: a pass takes its time, so that what it
 * has brought is not of one moment.  Journals make good most of that, not all.  So what goes well is
 * believed, but what goes wrong is tried again on a newer copy; and only what is refused both times, for the
 * same reason, between two passes, with no file system that seems damaged, is told as what it will be at the
 * cutover.
 */
#include "p2v/cmd/rehearse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/prove.h"
#include "p2v/cmd/snapshot.h"

/* One try. */
struct attempt {
	struct scratch *work; /* the copies */
	struct snapshot snapshot;
	struct convert_options options; /* the user's, with the copies as sources, which belong to it */
	struct conversion conversion;
	bool saw_damage;
};

static void attempt_deinit(struct attempt *attempt)
{
	convert_deinit(&attempt->conversion);
	strv_deinit(&attempt->options.sources);
	snapshot_deinit(&attempt->snapshot);
	scratch_destroy(attempt->work);
}

/* Where there is room for a copy: where the result will go, if that is known, else beside the job. */
static struct err *make_work_folder(const struct convert_options *options, struct scratch **ret_work)
{
	CLEANUP_FREE char *job = xstrdup(options->job), *parent = NULL;

	for (size_t i = strlen(job); i > 1 && job[i - 1] == '/'; i--)
		job[i - 1] = '\0';
	parent = options->out ? xstrdup(options->out) : xasprintf("%s/..", job);
	return err_advise(err_as(scratch_create(parent, ".p2v-rehearsal", ret_work), ERR_REFUSED),
			  "name a folder that exists and can be written with --out");
}

/* What is told is of the job, not of our copies. */
static void name_sources(const struct convert_options *options, struct session *session)
{
	for (size_t i = 0; i < session->disk_count; i++) {
		const char *slash = strrchr(session->disks[i].source.path, '/');
		char *name = xasprintf("%s%s", options->job, slash ? slash : "");

		free(session->disks[i].source.path);
		session->disks[i].source.path = name;
	}
}

/* The copies become what a conversion would make; prints what that changes. */
static struct err *convert_copies(struct attempt *attempt, const struct log *log)
{
	struct conversion *c = &attempt->conversion;

	c->options = &attempt->options;
	c->log = log;
	c->times.started_ns = run_now_ns();
	TRY(scratch_create(cmd_temporary_dir(), "p2v-convert", &c->temporary));
	TRY(session_open(&attempt->options.sources, scratch_path(attempt->work), SESSION_IN_PLACE, log,
			 &c->session));
	name_sources(&attempt->options, &c->session);
	TRY(session_inspect(&c->session));
	TRY(convert_make_plan(c));
	if (!attempt->options.json)
		TRY(convert_print(c, NULL));
	fflush(stdout);
	TRY(plan_apply(c->plan, log));
	TRY(session_release_guest(&c->session));
	return session_stop_serving(&c->session);
}

static struct err *try_conversion(const struct convert_options *options, const struct log *log,
				  struct attempt *attempt)
{
	struct err *err;

	TRY(make_work_folder(options, &attempt->work));
	TRY(snapshot_take(options->job, scratch_path(attempt->work),
			  options->json ? PROGRESS_JSON : PROGRESS_AUTO, log, &attempt->snapshot));
	attempt->options = *options;
	attempt->options.sources = (struct strv){0};
	attempt->options.dry_run = attempt->options.in_place = true;
	for (size_t i = 0; i < attempt->snapshot.files.count; i++)
		strv_add(&attempt->options.sources, attempt->snapshot.files.items[i]);
	err = convert_copies(attempt, log);
	if (attempt->conversion.session.appliance)
		attempt->saw_damage = appliance_saw_damage(attempt->conversion.session.appliance);
	return err;
}

/* Boots what came out; an error is that of the proof. */
static struct err *prove_copies(struct attempt *attempt, const struct log *log, json_t *report)
{
	const struct conversion *c = &attempt->conversion;
	struct prove_command command = {
		.path = attempt->options.job,
		.targets = attempt->options.targets,
		.json = attempt->options.json,
		.drivers_known = c->drivers.kernel_count,
	};
	struct strv *files = &attempt->snapshot.files;
	json_t *proofs = json_array();
	struct err *err;

	json_object_set_new(report, "proofs", proofs);
	strv_add(&command.images, files->items[c->session.boot_disk]);
	for (size_t i = 0; i < files->count; i++)
		if (i != c->session.boot_disk)
			strv_add(&command.images, files->items[i]);
	/* Its own from here on: the conversion has no further use for it. */
	command.machine = c->session.machine;
	attempt->conversion.session.machine = (struct machine){0};
	machine_put_disk_first(&command.machine, c->session.boot_disk);
	if (command.drivers_known)
		command.drivers = c->drivers.kernels[0].drivers;
	err = prove_targets(&command, log, proofs);
	strv_deinit(&command.images);
	machine_deinit(&command.machine);
	return err;
}

/* Before there are copies nothing is told of the server: a full disk, a job that has hardly begun. */
static bool has_looked(const struct attempt *attempt)
{
	return attempt->snapshot.files.count;
}

static bool is_certain(const struct attempt *attempt, const struct err *err, const struct err *last_time)
{
	if (attempt->snapshot.is_final)
		return err_kind(err) == ERR_REFUSED;
	/* What is in the midst of a pass, also of one that was never finished, may be torn in any way. */
	return err_kind(err) == ERR_REFUSED && attempt->snapshot.is_settled && !attempt->saw_damage &&
	       last_time && !strcmp(err_message(err), err_message(last_time));
}

/* What the user is told: the reason itself, or that it need not mean anything. */
static struct err *conclude(struct err *err, struct rehearsal *rehearsal)
{
	CLEANUP_ERR struct err *freed = NULL;

	if (!err)
		return NULL;
	rehearsal->reason = xstrdup(err_message(err));
	rehearsal->advice = xstrdup(err_advice(err));
	if (rehearsal->verdict != REHEARSAL_UNKNOWN)
		return err;
	freed = err;
	return err_advise(
		err_failed("could not be told: %s", rehearsal->reason),
		"the server wrote to its disks while they were brought over, which alone may be why: "
		"try again when it writes less");
}

/* The first one that goes well, or the second. */
static struct err *try_twice(const struct convert_options *options, const struct log *log,
			     struct attempt *attempt, bool *ret_is_certain)
{
	CLEANUP_ERR struct err *last_time = NULL;
	struct err *err = try_conversion(options, log, attempt);

	*ret_is_certain = true;
	if (!err || !has_looked(attempt))
		return err;
	if (!is_certain(attempt, err, NULL)) {
		last_time = err;
		log_warning(log, "%s: trying once more, with what is there by now", err_message(err));
		attempt_deinit(attempt);
		*attempt = (struct attempt){0};
		err = try_conversion(options, log, attempt);
		*ret_is_certain = !err || is_certain(attempt, err, last_time);
	}
	return err;
}

static struct err *print_json(const struct attempt *attempt, const struct rehearsal *rehearsal,
			      json_t *report)
{
	CLEANUP_JSON json_t *all = convert_report(&attempt->conversion);

	json_object_update(all, report);
	json_object_set_new(all, "rehearsal", rehearsal_to_json(rehearsal));
	if (json_dumpf(all, stdout, JSON_INDENT(2)) || putchar('\n') == EOF)
		return err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	return NULL;
}

static struct err *prove_and_print(struct attempt *attempt, const struct log *log,
				   struct rehearsal *rehearsal)
{
	CLEANUP_JSON json_t *report = json_object();
	const struct convert_options *options = &attempt->options;
	struct err *err = NULL;

	if (options->prove) {
		err = prove_copies(attempt, log, report);
		rehearsal->proof = err ? PROOF_FAILS : PROOF_BOOTS;
	}
	if (err) {
		rehearsal->reason = xstrdup(err_message(err));
		rehearsal->advice = xstrdup(err_advice(err));
	}
	if (options->json)
		return err_first(err, print_json(attempt, rehearsal, report));
	printf("rehearsed with pass %" PRIu64 "%s: %s\n", rehearsal->passes,
	       rehearsal->is_settled ? "" : ", in the midst of another one", rehearsal_words(rehearsal));
	return err;
}

struct err *rehearse(const struct convert_options *options, const struct log *log)
{
	CLEANUP(attempt_deinit) struct attempt attempt = {0};
	CLEANUP_REHEARSAL struct rehearsal rehearsal = {.when = time(NULL)};
	bool certain = true;
	struct err *err = try_twice(options, log, &attempt, &certain);

	if (err && !has_looked(&attempt))
		return err;
	rehearsal.passes = attempt.snapshot.passes;
	rehearsal.is_settled = attempt.snapshot.is_settled;
	rehearsal.verdict = !err ? REHEARSAL_CONVERTS : certain ? REHEARSAL_REFUSES : REHEARSAL_UNKNOWN;
	if (err)
		err = conclude(err, &rehearsal);
	else
		err = prove_and_print(&attempt, log, &rehearsal);
	return err_first(err, rehearsal_save(&rehearsal, options->job));
}
