/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One thread runs it all: it connects, tells, and then waits for something new to
 * tell, or for the time to say that it is there.  Every message is answered
 * before the next one goes out, so that what was answered was taken in.
 */
#include "p2v/sync/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/greeting.h"

#define NS_PER_SECOND 1000000000ull
#define PAUSE_NS NS_PER_SECOND
#define MAX_PAUSE_NS (30 * NS_PER_SECOND)

struct announcer {
	struct announce_options options;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	enum wire_phase phase;
	char *reason;
	uint64_t told, known; /* how often something was told; and of these, which the receiver knows of */
	bool ending;
};

void announcement_deinit(struct announcement *announcement)
{
	free(announcement->name);
	free(announcement->vendor);
	free(announcement->model);
	free(announcement->serial);
	free(announcement->addresses);
}

struct err *announcer_create(const struct announce_options *options, struct announcer **ret_announcer)
{
	struct announcer *announcer = calloc(1, sizeof *announcer);
	pthread_condattr_t attributes;

	if (!announcer)
		return err_nomem();
	announcer->options = *options;
	announcer->phase = WIRE_PHASE_BOOTED;
	announcer->told = 1;
	pthread_mutex_init(&announcer->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&announcer->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	*ret_announcer = announcer;
	return NULL;
}

void announcer_destroy(struct announcer *announcer)
{
	if (!announcer)
		return;
	pthread_cond_destroy(&announcer->changed);
	pthread_mutex_destroy(&announcer->lock);
	free(announcer->reason);
	free(announcer);
}

void announcer_tell(struct announcer *announcer, enum wire_phase phase, const char *reason)
{
	LOCKED(&announcer->lock);

	announcer->phase = phase;
	free(announcer->reason);
	announcer->reason = xstrdup(reason);
	announcer->told++;
	pthread_cond_broadcast(&announcer->changed);
}

void announcer_end(struct announcer *announcer)
{
	LOCKED(&announcer->lock);

	announcer->ending = true;
	pthread_cond_broadcast(&announcer->changed);
}

/* What may be in an ANNOUNCE; the caller frees it. */
static char *make_printable(const char *from, size_t max_bytes)
{
	char *text = from ? xstrndup(from, max_bytes) : xstrdup("");

	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = (unsigned char)*c <= ' ' ? ' ' : '?';
	return text;
}

static struct err *send_announcement(const struct announce_options *options, struct channel *channel,
				     enum wire_phase phase, const char *reason)
{
	CLEANUP_ANNOUNCEMENT struct announcement machine = {0};
	struct message message = {.type = WIRE_ANNOUNCE, .announce = {.phase = phase}};
	char *texts[WIRE_ANNOUNCE_TEXTS];
	struct err *err;

	options->describe(options->describe_arg, &machine);
	memcpy(message.announce.id, machine.id, sizeof machine.id);
	message.announce.up_seconds = machine.up_seconds;
	{
		const char *const said[WIRE_ANNOUNCE_TEXTS] = {
			[WIRE_TEXT_NAME] = machine.name,   [WIRE_TEXT_VENDOR] = machine.vendor,
			[WIRE_TEXT_MODEL] = machine.model, [WIRE_TEXT_SERIAL] = machine.serial,
			[WIRE_TEXT_REASON] = reason,	   [WIRE_TEXT_ADDRESSES] = machine.addresses,
		};

		for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++) {
			texts[i] = make_printable(said[i], wire_max_text_bytes(i));
			message.announce.texts[i].text = texts[i];
			message.announce.texts[i].bytes = strlen(texts[i]);
		}
	}
	err = channel_send(channel, &message);
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++)
		free(texts[i]);
	return err;
}

/* The answer that every message gets. */
static struct err *receive_answer(struct channel *channel, struct message *message)
{
	return channel_receive(channel, CHANNEL_TYPE(WIRE_ALIVE), message, NULL);
}

static struct err *greet(const struct announce_options *options, struct message *message,
			 struct channel **ret_channel)
{
	const struct greeting greeting = {options->key,		options->connect,
					  options->connect_arg, options->silence_limit_ns,
					  WIRE_CONTROL,		NULL};
	CLEANUP_CHANNEL struct channel *channel = NULL;

	TRY(greet_receiver(&greeting, message, &channel));
	if (message->welcome.version < WIRE_ANNOUNCE_VERSION) {
		err_free(channel_close(channel));
		return err_advise(
			err_refused("the receiver is of an older version, which takes no announcements"),
			"install this version there, or go on without: it can be sent to all the same");
	}
	*ret_channel = take_ptr(channel);
	return NULL;
}

/* Waits on the lock, at most so long; false: the time is over. */
static bool wait_for_change(struct announcer *announcer, uint64_t limit_ns)
{
	uint64_t until_ns = run_now_ns() + limit_ns;
	const struct timespec until = {until_ns / NS_PER_SECOND, until_ns % NS_PER_SECOND};

	return pthread_cond_timedwait(&announcer->changed, &announcer->lock, &until) != ETIMEDOUT;
}

enum next { TELL, SAY_ALIVE, END };

/* Waits for what is next to do on a connection that works. */
static enum next wait_for_next(struct announcer *announcer)
{
	uint64_t alive_ns = announcer->options.alive_ns ?: WIRE_ALIVE_SECONDS * NS_PER_SECOND;
	LOCKED(&announcer->lock);

	while (announcer->known == announcer->told && !announcer->ending)
		if (!wait_for_change(announcer, alive_ns))
			return SAY_ALIVE;
	return announcer->known == announcer->told ? END : TELL;
}

static struct err *tell(struct announcer *announcer, struct channel *channel, struct message *message)
{
	CLEANUP_FREE char *reason = NULL;
	enum wire_phase phase;
	uint64_t told;

	pthread_mutex_lock(&announcer->lock);
	phase = announcer->phase;
	reason = xstrdup(announcer->reason);
	told = announcer->told;
	pthread_mutex_unlock(&announcer->lock);
	TRY(send_announcement(&announcer->options, channel, phase, reason));
	TRY(receive_answer(channel, message));
	pthread_mutex_lock(&announcer->lock);
	announcer->known = told;
	pthread_mutex_unlock(&announcer->lock);
	return NULL;
}

static void report(const struct announcer *announcer, const struct err *err)
{
	if (announcer->options.changed)
		announcer->options.changed(announcer->options.changed_arg, err);
}

/* One connection, up to its end; *ret_worked: something was told. */
static struct err *run_connection(struct announcer *announcer, bool *ret_worked)
{
	const struct message alive = {.type = WIRE_ALIVE};
	CLEANUP_FREE struct message *message = malloc(sizeof *message);
	CLEANUP_CHANNEL struct channel *channel = NULL;

	if (!message)
		return err_nomem();
	TRY(greet(&announcer->options, message, &channel));
	TRY(tell(announcer, channel, message));
	*ret_worked = true;
	report(announcer, NULL);
	for (;;) {
		switch (wait_for_next(announcer)) {
		case TELL:
			TRY(tell(announcer, channel, message));
			break;
		case SAY_ALIVE:
			TRY(channel_send(channel, &alive));
			TRY(receive_answer(channel, message));
			break;
		case END:
			/* All is told: how the connection ends changes nothing. */
			err_free(channel_close(channel));
			return NULL;
		}
	}
}

static bool is_ending(struct announcer *announcer)
{
	LOCKED(&announcer->lock);

	return announcer->ending;
}

/* Until the time is over, or it is to end. */
static void pause_before_next(struct announcer *announcer, uint64_t pause_ns)
{
	uint64_t until_ns = run_now_ns() + pause_ns, now_ns;
	LOCKED(&announcer->lock);

	while (!announcer->ending && (now_ns = run_now_ns()) < until_ns)
		(void)wait_for_change(announcer, until_ns - now_ns);
}

struct err *announcer_run(struct announcer *announcer)
{
	uint64_t first_ns = announcer->options.first_pause_ns ?: PAUSE_NS;
	uint64_t longest_ns = announcer->options.longest_pause_ns ?: MAX_PAUSE_NS, pause_ns = first_ns;

	for (;;) {
		bool worked = false, is_last = is_ending(announcer);
		struct err *err = run_connection(announcer, &worked);

		if (!err || is_last || err_kind(err) != ERR_FAILED)
			return err;
		report(announcer, err);
		err_free(err);
		if (worked)
			pause_ns = first_ns;
		pause_before_next(announcer, pause_ns);
		pause_ns = 2 * pause_ns < longest_ns ? 2 * pause_ns : longest_ns;
	}
}

static struct err *check_bundle(int fd, uint64_t *ret_bytes)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;

	if (at < 0 || fstat(fd, &st))
		return err_from_errno(errno, "the bundle");
	if (!S_ISREG(st.st_mode) || st.st_size <= at)
		return err_advise(err_refused("the bundle is no file, or empty"),
				  "name a file with something in it");
	if (st.st_size - at > WIRE_MAX_BUNDLE_BYTES)
		return err_advise(err_refused("the bundle has %" PRIu64 " bytes, at most %u can be sent",
					      (uint64_t)(st.st_size - at), WIRE_MAX_BUNDLE_BYTES),
				  "leave the largest files out");
	*ret_bytes = st.st_size - at;
	return NULL;
}

static struct err *send_parts(int fd, uint64_t left_bytes, struct channel *channel)
{
	CLEANUP_FREE uint8_t *data = xmalloc(WIRE_MAX_PART_BYTES);

	while (left_bytes) {
		ssize_t got =
			read(fd, data, left_bytes < WIRE_MAX_PART_BYTES ? left_bytes : WIRE_MAX_PART_BYTES);
		const struct message part = {.type = WIRE_PART, .part = {data, got}};

		if (got <= 0)
			return got ? err_from_errno(errno, "the bundle")
				   : err_failed("the bundle has become shorter while it was read");
		TRY(channel_send(channel, &part));
		left_bytes -= got;
	}
	return NULL;
}

struct err *announce_bundle(const struct announce_options *options, int fd)
{
	CLEANUP_FREE struct message *message = malloc(sizeof *message);
	CLEANUP_CHANNEL struct channel *channel = NULL;
	struct message bundle = {.type = WIRE_BUNDLE};
	uint64_t bytes = 0;

	if (!message)
		return err_nomem();
	TRY(check_bundle(fd, &bytes));
	bundle.bundle_bytes = bytes;
	TRY(greet(options, message, &channel));
	TRY(send_announcement(options, channel, WIRE_PHASE_SAME, NULL));
	TRY(receive_answer(channel, message));
	TRY(channel_send(channel, &bundle));
	TRY(receive_answer(channel, message));
	TRY(send_parts(fd, bytes, channel));
	TRY(receive_answer(channel, message));
	err_free(channel_close(channel));
	return NULL;
}
