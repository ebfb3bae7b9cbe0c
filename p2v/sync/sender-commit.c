/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a transfer: COMMIT, once or twice (wire.h, 6).
 *
 * Of a server that stops for good when its copy takes over only one may ever run.
 * So the receiver first holds the job: it has everything, durably, but completes
 * nothing.  Then source->keep() decides, here and alone.  Up to that moment all that
 * goes wrong ends in a server that goes on beside a copy that is not complete; behind
 * it the server stays as it is, and we say the last word until it is heard, over new
 * connections if need be, as long as nobody else lets the server go on.
 *
 * Whether a last word that was not answered has arrived only the receiver can tell:
 * who gives up says so.
 */
#include <string.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

#define NS_PER_SECOND 1000000000ull
#define PATIENCE_NS (600 * NS_PER_SECOND)
#define PAUSE_NS NS_PER_SECOND
#define MAX_PAUSE_NS (10 * NS_PER_SECOND)

static struct err *check_root(struct run *run, const struct root *committed)
{
	const struct sender_options *options = run->options;
	CLEANUP_FREE uint64_t *sizes = xcalloc(options->disk_count, sizeof *sizes);
	struct root *root = &run->result->root;

	for (size_t i = 0; i < options->disk_count; i++)
		sizes[i] = options->disks[i].blk->size_bytes;
	root_of_job(run->hash_key, sizes, run->roots, options->disk_count, root);
	return memcmp(root, committed, sizeof *root)
		       ? err_refused("the receiver has completed something else than was sent")
		       : NULL;
}

/* Up to COMMITTED.  `still` is asked whenever the receiver says that it is at work; NULL: nothing is. */
static struct err *say_commit(struct run *run, struct channel *control, unsigned flags,
			      struct err *(*still)(void *arg), struct message *message)
{
	const struct message commit = {
		.type = WIRE_COMMIT,
		.commit = {flags, run->roots, run->options->disk_count},
	};

	TRY(channel_send(control, &commit));
	for (;;) {
		TRY(channel_receive(control, CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_COMMITTED), message,
				    NULL));
		if (message->type == WIRE_COMMITTED)
			return check_root(run, &message->committed);
		if (still)
			TRY(still(run->options->live->source->arg));
	}
}

/* Over a new connection, and without a look at any disk. */
static struct err *say_last_word_again(struct run *run, struct message *message)
{
	const struct live_source *source = run->options->live->source;
	CLEANUP_CHANNEL struct channel *control = NULL;

	TRY(err_as(source->check_kept(source->arg), ERR_REFUSED));
	TRY(sender_connect(run->options, WIRE_CONTROL, NULL, message, &control));
	TRY(sender_send_job(run->options, NULL, control, message));
	TRY(channel_receive(control, CHANNEL_TYPE(WIRE_READY), message, NULL));
	if (memcmp(message->ready.hash_key, run->hash_key, sizeof run->hash_key))
		return err_refused("the receiver does not have this job any more");
	TRY(say_commit(run, control, 0, NULL, message));
	err_free(channel_close(control));
	return NULL;
}

static void pause_before_try(const struct live_options *live, unsigned tries)
{
	uint64_t pause_ns = (live->pause_ns ?: PAUSE_NS) << (tries < 4 ? tries : 4);
	struct timespec pause;

	if (pause_ns > MAX_PAUSE_NS)
		pause_ns = MAX_PAUSE_NS;
	pause = (struct timespec){pause_ns / NS_PER_SECOND, pause_ns % NS_PER_SECOND};
	nanosleep(&pause, NULL);
}

/* What could be done about the cause is not what is to be done now. */
static struct err *not_heard(struct err *cause)
{
	CLEANUP_ERR struct err *freed = cause;

	return err_refused("the receiver has everything, but has not confirmed that the copy is complete: %s",
			   err_message(freed));
}

static struct err *say_last_word(struct run *run, struct channel *control, struct message *message)
{
	const struct live_options *live = run->options->live;
	uint64_t until_ns = run_now_ns() + (live->patience_ns ?: PATIENCE_NS);
	struct err *err = say_commit(run, control, 0, NULL, message);

	for (unsigned tries = 0; err && err_kind(err) == ERR_FAILED && run_now_ns() < until_ns; tries++) {
		/* A session that is left of the last try is not to keep us out. */
		channel_interrupt(control);
		err_free(err);
		pause_before_try(live, tries);
		err = say_last_word_again(run, message);
	}
	return err ? not_heard(err) : NULL;
}

/* Nothing has been decided while this can fail. */
static struct err *hold(struct run *run, struct channel *control, unsigned flags, struct message *message)
{
	const struct live_options *live = run->options->live;
	uint64_t limit_ns = run->options->silence_limit_ns ?: WIRE_SILENCE_SECONDS * NS_PER_SECOND;

	/* Longer than that the server does not wait. */
	if (live->freeze_limit_ns < limit_ns)
		channel_set_limits(control, live->freeze_limit_ns, limit_ns);
	TRY(say_commit(run, control, flags | WIRE_COMMIT_HOLD, live->source->check_frozen, message));
	TRY(live->source->keep(live->source->arg));
	channel_set_limits(control, limit_ns, limit_ns);
	return NULL;
}

bool sender_decides(const struct sender_options *options)
{
	return options->live && options->live->source->keep;
}

struct err *sender_commit(struct run *run, struct channel *control, struct message *message)
{
	unsigned flags = run->options->flags & SENDER_VERIFY ? WIRE_COMMIT_VERIFY : 0;
	uint64_t start_ns = run_now_ns();
	struct err *err;

	if (sender_decides(run->options)) {
		err = hold(run, control, flags, message);
		/* So that nobody takes the copy for one that could take over. */
		if (err)
			channel_refuse(control, WIRE_FAILED, err);
		TRY(err);
		TRY(say_last_word(run, control, message));
	} else {
		TRY(say_commit(run, control, flags, NULL, message));
	}
	if (run->options->live)
		run->result->cutover.commit_ns = run_now_ns() - start_ns;
	/* It is complete: if the farewell is lost, that changes nothing. */
	err_free(channel_close(control));
	return NULL;
}
