/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections of machines that announce themselves, from ANNOUNCE to their end.
 *
 * What is known of a machine is in its files alone (announced.h), which change
 * under the lock; here is who is connected.  So a machine may come over several
 * connections, the last word counts, and it is gone with the last of them.  The
 * lock is none that a session waits for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/announced.h"
#include "p2v/sync/receiver-impl.h"

#define NS_PER_SECOND 1000000000ull
#define DEFAULT_MACHINES 256
#define DEFAULT_FORGET_SECONDS (7ull * 24 * 3600)
/* ANNOUNCE that one connection may send at once, and how long it takes until it may send one more. */
#define MAX_CHANGES 16u
#define CHANGE_NS NS_PER_SECOND

struct announcements {
	const struct receiver_options *options;
	unsigned max_machines;
	time_t forget_seconds;
	pthread_mutex_t lock; /* what follows, and the files */
	struct announcing *connections;
	unsigned connection_count;
	bool stopped;
};

struct err *announcements_create(const struct receiver_options *options,
				 struct announcements **ret_announcements)
{
	struct announcements *announcements = calloc(1, sizeof *announcements);

	if (!announcements)
		return err_nomem();
	announcements->options = options;
	announcements->max_machines = options->max_machines ?: DEFAULT_MACHINES;
	announcements->forget_seconds = options->forget_seconds ?: DEFAULT_FORGET_SECONDS;
	pthread_mutex_init(&announcements->lock, NULL);
	*ret_announcements = announcements;
	return NULL;
}

void announcements_destroy(struct announcements *announcements)
{
	if (!announcements)
		return;
	pthread_mutex_destroy(&announcements->lock);
	free(announcements);
}

void announcements_stop(struct announcements *announcements)
{
	LOCKED(&announcements->lock);

	announcements->stopped = true;
	for (struct announcing *at = announcements->connections; at; at = at->next)
		channel_interrupt(at->channel);
}

/* With the lock held, as all that follows up to the next note. */
static bool is_connected(const struct announcements *announcements, const char *id)
{
	for (const struct announcing *at = announcements->connections; at; at = at->next)
		if (!strcmp(at->id, id))
			return true;
	return false;
}

/* Forgets who is gone for long, and if that is not enough who is gone for longest. */
static struct err *make_room(struct announcements *announcements)
{
	const char *dir = announcements->options->dir;
	CLEANUP_FREE struct announced_entry *entries = NULL;
	time_t forgotten = time(NULL) - announcements->forget_seconds;
	size_t count, left;

	TRY(announced_list(dir, &entries, &count));
	left = count;
	for (;;) {
		struct announced_entry *oldest = NULL;

		for (size_t i = 0; i < count; i++)
			if (*entries[i].id && !is_connected(announcements, entries[i].id) &&
			    (!oldest || entries[i].last_heard < oldest->last_heard))
				oldest = &entries[i];
		if (!oldest || (left < announcements->max_machines && oldest->last_heard >= forgotten))
			break;
		announced_forget(dir, oldest->id);
		*oldest->id = '\0';
		left--;
	}
	if (left >= announcements->max_machines)
		return err_failed("the receiver knows %zu machines already, all of them connected", left);
	return NULL;
}

static void set_text(char **text, const char *from, size_t bytes)
{
	free(*text);
	*text = xstrndup(from, bytes);
}

/* Takes in what the message says; whether that is anything new. */
static bool merge(const struct message_announce *from, const char *peer, struct announced *machine)
{
	enum wire_phase phase = from->phase;
	time_t now = time(NULL);
	bool is_new = !machine->is_connected || strcmp(machine->peer ?: "", peer);

	/* A reason belongs to its phase. */
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++) {
		const char *text = from->texts[i].text;
		size_t bytes = from->texts[i].bytes;

		if (machine->texts[i] && i == WIRE_TEXT_REASON && phase == WIRE_PHASE_SAME)
			continue;
		if (machine->texts[i] && strlen(machine->texts[i]) == bytes &&
		    !memcmp(machine->texts[i], text, bytes))
			continue;
		set_text(&machine->texts[i], text, bytes);
		is_new = true;
	}
	if (phase == WIRE_PHASE_SAME)
		phase = machine->phase ?: WIRE_PHASE_BOOTED;
	if (phase != machine->phase)
		machine->phase_since = now;
	is_new |= phase != machine->phase;
	machine->phase = phase;
	machine->is_connected = true;
	machine->last_heard = now;
	machine->booted = now > from->up_seconds ? now - from->up_seconds : 0;
	set_text(&machine->peer, peer, strlen(peer));
	return is_new;
}

static void tell_log(const struct announcing *connection, const struct announced *machine)
{
	const char *reason = machine->texts[WIRE_TEXT_REASON];

	log_info(connection->announcements->options->log, "%s: machine %s: %s%s%s", connection->peer,
		 machine->texts[WIRE_TEXT_NAME], wire_phase_name(machine->phase), *reason ? ": " : "",
		 reason);
}

/* What was known of a machine; nothing, if that is so, or if what is there is no good. */
static void load_known(const char *dir, const char *id, struct announced *ret_machine)
{
	struct err *err = announced_load(dir, id, ret_machine);

	err_free(err);
	memcpy(ret_machine->id, id, sizeof ret_machine->id);
}

static struct err *keep(struct announcing *connection, const struct message_announce *message)
{
	const char *dir = connection->announcements->options->dir;
	CLEANUP_ANNOUNCED struct announced machine = {0};

	load_known(dir, connection->id, &machine);
	if (!merge(message, connection->peer, &machine))
		return announced_touch(dir, connection->id);
	TRY(announced_save(dir, &machine));
	tell_log(connection, &machine);
	return NULL;
}

static struct err *join(struct announcing *connection, const struct message_announce *message)
{
	struct announcements *announcements = connection->announcements;

	if (announcements->stopped)
		return err_failed("the receiver ends");
	if (announcements->connection_count >= announcements->max_machines)
		return err_failed("the receiver has %u connections of machines already",
				  announcements->connection_count);
	announced_format_id(message->id, connection->id);
	if (!is_connected(announcements, connection->id)) {
		CLEANUP_FREE char *folder = announced_folder(announcements->options->dir, connection->id);

		if (access(folder, F_OK))
			TRY(make_room(announcements));
	}
	connection->next = announcements->connections;
	announcements->connections = connection;
	announcements->connection_count++;
	return NULL;
}

/* It is gone with its last connection. */
static void leave(struct announcing *connection)
{
	struct announcements *announcements = connection->announcements;
	const char *dir = announcements->options->dir;
	CLEANUP_ANNOUNCED struct announced machine = {0};
	struct announcing **at;
	struct err *err;

	for (at = &announcements->connections; *at && *at != connection; at = &(*at)->next)
		;
	if (!*at)
		return;
	*at = connection->next;
	announcements->connection_count--;
	if (is_connected(announcements, connection->id))
		return;
	err = announced_load(dir, connection->id, &machine);
	if (!err) {
		machine.is_connected = false;
		err = announced_save(dir, &machine);
	}
	if (!err)
		log_info(announcements->options->log, "%s: machine %s: gone", connection->peer,
			 machine.texts[WIRE_TEXT_NAME]);
	/* It will be seen by the time when it was heard of. */
	err_free(err);
}

bool announcing_begin_bundle(struct announcing *connection)
{
	LOCKED(&connection->announcements->lock);

	for (const struct announcing *at = connection->announcements->connections; at; at = at->next)
		if (at->has_bundle && !strcmp(at->id, connection->id))
			return false;
	connection->has_bundle = true;
	return true;
}

void announcing_end_bundle(struct announcing *connection)
{
	LOCKED(&connection->announcements->lock);

	connection->has_bundle = false;
}

/* Without the lock from here on. */

/* Each is read, compared and written to disk: so many at once, and then one a second. */
static struct err *check_pace(struct announcing *connection)
{
	uint64_t now_ns = run_now_ns(), full_ns = MAX_CHANGES * CHANGE_NS;
	uint64_t earliest_ns = now_ns > full_ns ? now_ns - full_ns : 0;

	if (connection->changes_ns < earliest_ns)
		connection->changes_ns = earliest_ns;
	connection->changes_ns += CHANGE_NS;
	return connection->changes_ns > now_ns ? err_failed("the sender announces itself too often") : NULL;
}

static struct err *take_announcement(struct announcing *connection, const struct message_announce *message)
{
	char id[ANNOUNCED_ID_BYTES];

	announced_format_id(message->id, id);
	if (strcmp(id, connection->id))
		return err_failed("the sender broke the protocol: ANNOUNCE: of another machine");
	TRY(check_pace(connection));
	LOCKED(&connection->announcements->lock);
	return keep(connection, message);
}

struct err *announcing_was_heard(struct announcing *connection)
{
	/* Who has removed the folder wants to forget the machine: that it is there is told anew. */
	return announced_touch(connection->announcements->options->dir, connection->id);
}

static struct err *serve(struct announcing *connection, struct message *message)
{
	const unsigned allowed =
		CHANNEL_TYPE(WIRE_ANNOUNCE) | CHANNEL_TYPE(WIRE_ALIVE) | CHANNEL_TYPE(WIRE_BUNDLE);
	const struct message alive = {.type = WIRE_ALIVE};
	bool end = false;

	for (;;) {
		if (message->type == WIRE_ANNOUNCE)
			TRY(take_announcement(connection, &message->announce));
		else if (message->type == WIRE_ALIVE)
			TRY(announcing_was_heard(connection));
		else
			TRY(bundle_receive(connection, message->bundle_bytes, message));
		TRY(channel_send(connection->channel, &alive));
		TRY(channel_receive(connection->channel, allowed, message, &end));
		if (end)
			return NULL;
	}
}

struct err *announcing_run(struct announcements *announcements, struct channel *channel, const char *peer,
			   struct message *message)
{
	struct announcing connection = {
		.announcements = announcements,
		.options = announcements->options,
		.channel = channel,
		.peer = peer,
	};
	struct err *err;

	pthread_mutex_lock(&announcements->lock);
	err = join(&connection, &message->announce);
	pthread_mutex_unlock(&announcements->lock);
	if (!err)
		err = serve(&connection, message);
	pthread_mutex_lock(&announcements->lock);
	leave(&connection);
	pthread_mutex_unlock(&announcements->lock);
	return err;
}
