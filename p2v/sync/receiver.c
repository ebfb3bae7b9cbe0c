/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may come in, and to which session.
 *
 * A session lives in the stack of the thread of its control connection, and in
 * the list while it has a name; a lane uses it only while it is one of its
 * lanes, for whose end the session waits.
 */
#include "p2v/sync/receiver.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver-impl.h"

#define NS_PER_SECOND 1000000000ull
#define DEFAULT_SESSIONS 16
#define DEFAULT_LANES 4
#define DEFAULT_WINDOW_BYTES (48u << 20)
#define DEFAULT_RESERVE_BYTES (256ull << 20)
#define MIN_LANE_WINDOW_BYTES (4u * WIRE_MAX_DATA_BYTES)

struct err *receiver_create(const struct receiver_options *options, struct receiver **ret_receiver)
{
	struct receiver *receiver = calloc(1, sizeof *receiver);
	struct receiver_options *to;
	struct err *err;

	if (!receiver)
		return err_nomem();
	to = &receiver->options;
	*to = *options;
	if (!to->max_sessions)
		to->max_sessions = DEFAULT_SESSIONS;
	if (!to->max_lanes)
		to->max_lanes = DEFAULT_LANES;
	if (to->max_lanes > WIRE_MAX_WINDOW_BYTES / MIN_LANE_WINDOW_BYTES)
		to->max_lanes = WIRE_MAX_WINDOW_BYTES / MIN_LANE_WINDOW_BYTES;
	if (!to->window_bytes || to->window_bytes > WIRE_MAX_WINDOW_BYTES)
		to->window_bytes = DEFAULT_WINDOW_BYTES;
	if (!to->reserve_bytes)
		to->reserve_bytes = DEFAULT_RESERVE_BYTES;
	if (!to->silence_limit_ns)
		to->silence_limit_ns = WIRE_SILENCE_SECONDS * NS_PER_SECOND;
	receiver->window_bytes = to->window_bytes / to->max_lanes;
	if (receiver->window_bytes < MIN_LANE_WINDOW_BYTES)
		receiver->window_bytes = MIN_LANE_WINDOW_BYTES;
	err = announcements_create(to, &receiver->announcements);
	if (err) {
		free(receiver);
		return err;
	}
	pthread_mutex_init(&receiver->lock, NULL);
	pthread_cond_init(&receiver->changed, NULL);
	*ret_receiver = receiver;
	return NULL;
}

void receiver_destroy(struct receiver *receiver)
{
	if (!receiver)
		return;
	pthread_cond_destroy(&receiver->changed);
	pthread_mutex_destroy(&receiver->lock);
	announcements_destroy(receiver->announcements);
	free(receiver);
}

/* With the lock held. */
static void interrupt_session(struct session *session)
{
	channel_interrupt(session->control);
	for (size_t i = 0; i < WIRE_MAX_LANES; i++)
		if (session->lanes[i])
			channel_interrupt(session->lanes[i]);
}

void receiver_stop(struct receiver *receiver)
{
	LOCKED(&receiver->lock);

	announcements_stop(receiver->announcements);
	receiver->stopped = true;
	for (struct session *session = receiver->sessions; session; session = session->next)
		interrupt_session(session);
}

static struct session *find_name(struct receiver *receiver, const char *name)
{
	for (struct session *session = receiver->sessions; session; session = session->next)
		if (!strcmp(session->name, name))
			return session;
	return NULL;
}

struct err *session_claim_name(struct session *session, const struct message_job *message)
{
	struct receiver *receiver = session->receiver;
	struct session *older;
	LOCKED(&receiver->lock);

	while (!receiver->stopped && (older = find_name(receiver, session->name))) {
		/* A machine of the same name is another one, unless it has the same disks. */
		if (older->state == SESSION_OPEN) {
			TRY(checkpoint_compare(&older->job.checkpoint, message));
			TRY(checkpoint_check_run(&older->job.checkpoint, message->run));
		}
		/* It is told, if it is alive, and then ends its lanes itself. */
		older->taken_over = true;
		channel_end_receiving(older->control);
		pthread_cond_wait(&receiver->changed, &receiver->lock);
	}
	if (receiver->stopped)
		return err_failed("the receiver ends");
	if (receiver->session_count >= receiver->options.max_sessions)
		return err_advise(err_failed("the receiver has %u senders already", receiver->session_count),
				  "try again later");
	session->next = receiver->sessions;
	receiver->sessions = session;
	receiver->session_count++;
	return NULL;
}

bool session_is_taken_over(struct session *session)
{
	LOCKED(&session->receiver->lock);

	return session->taken_over;
}

static void release_name(struct session *session)
{
	struct receiver *receiver = session->receiver;
	struct session **at;
	LOCKED(&receiver->lock);

	for (at = &receiver->sessions; *at && *at != session; at = &(*at)->next)
		;
	if (!*at)
		return;
	*at = session->next;
	receiver->session_count--;
	pthread_cond_broadcast(&receiver->changed);
}

void session_end_lanes(struct session *session)
{
	struct receiver *receiver = session->receiver;
	LOCKED(&receiver->lock);

	session->state = SESSION_ENDING;
	for (size_t i = 0; i < WIRE_MAX_LANES; i++)
		if (session->lanes[i])
			channel_interrupt(session->lanes[i]);
	while (session->lane_count)
		pthread_cond_wait(&receiver->changed, &receiver->lock);
}

/* Finds the session by its token and joins it, if there is room; NULL otherwise. */
static struct session *join_session(struct receiver *receiver, const uint8_t *token, struct channel *channel,
				    size_t *ret_place)
{
	LOCKED(&receiver->lock);

	for (struct session *session = receiver->sessions; session; session = session->next) {
		if (CRYPTO_memcmp(session->token, token, WIRE_TOKEN_BYTES))
			continue;
		if (session->state != SESSION_OPEN || session->lane_count >= receiver->options.max_lanes)
			return NULL;
		for (*ret_place = 0; session->lanes[*ret_place];)
			++*ret_place;
		session->lanes[*ret_place] = channel;
		session->lane_count++;
		return session;
	}
	return NULL;
}

/* Whether the session was ending already: then the lane's end is a consequence. */
static bool leave_session(struct session *session, size_t place)
{
	LOCKED(&session->receiver->lock);

	session->lanes[place] = NULL;
	session->lane_count--;
	pthread_cond_broadcast(&session->receiver->changed);
	return session->state == SESSION_ENDING;
}

/* The newest version that both speak; 0: there is none. */
static unsigned common_version(const struct message_hello *hello)
{
	unsigned version = hello->max_version < WIRE_VERSION ? hello->max_version : WIRE_VERSION;

	return version < WIRE_OLDEST_VERSION || version < hello->min_version ? 0 : version;
}

static struct err *send_welcome(struct receiver *receiver, struct channel *channel, unsigned version,
				const uint8_t *token)
{
	struct message welcome = {
		.type = WIRE_WELCOME,
		.welcome = {version, receiver->options.max_lanes, receiver->window_bytes, {0}},
	};

	if (token)
		memcpy(welcome.welcome.token, token, WIRE_TOKEN_BYTES);
	return channel_send(channel, &welcome);
}

static enum wire_reason reason_of(const struct err *err)
{
	return err_kind(err) == ERR_REFUSED ? WIRE_NOT_ALLOWED : WIRE_FAILED;
}

static struct err *serve_lane(struct receiver *receiver, struct channel *channel, unsigned version,
			      const uint8_t *token)
{
	struct lane_pass pass = {0};
	size_t place;
	struct session *session = join_session(receiver, token, channel, &place);
	struct err *err;

	if (!session) {
		err = err_failed("there is no such session, or it has lanes enough");
		channel_refuse(channel, WIRE_NO_SESSION, err);
		return err;
	}
	/* Senders may think for as long as they like; the control connection tells whether they live. */
	channel_set_limits(channel, 0, receiver->options.silence_limit_ns);
	session_lane_comes(session);
	err = send_welcome(receiver, channel, version, NULL);
	if (!err)
		err = lane_run(session, channel, &pass);
	session_lane_leaves(session, &pass);
	if (err) {
		job_log(&session->job, session->peer, "a lane ended: %s", err_message(err));
		channel_refuse(channel, reason_of(err), err);
	}
	if (!leave_session(session, place))
		return err;
	err_free(err);
	return NULL;
}

/* A job, or, where the version has that, an announcement. */
static struct err *serve_first(struct session *session, struct message *message)
{
	struct receiver *receiver = session->receiver;
	unsigned allowed = CHANNEL_TYPE(WIRE_JOB);

	if (session->version >= WIRE_ANNOUNCE_VERSION)
		allowed |= CHANNEL_TYPE(WIRE_ANNOUNCE);
	TRY(send_welcome(receiver, session->control, session->version, session->token));
	TRY(channel_receive(session->control, allowed, message, NULL));
	if (message->type == WIRE_ANNOUNCE)
		return announcing_run(receiver->announcements, session->control, session->peer, message);
	return session_run(session, message);
}

static struct err *serve_control(struct receiver *receiver, struct channel *channel, unsigned version,
				 const char *peer, struct message *message)
{
	struct session *session = calloc(1, sizeof *session);
	struct err *err = NULL;

	if (!session)
		return err_nomem();
	session->receiver = receiver;
	session->control = channel;
	session->version = version;
	session->peer = peer;
	if (getrandom(session->token, sizeof session->token, 0) != sizeof session->token)
		err = err_from_errno(errno, "random numbers for a session");
	if (!err)
		err = serve_first(session, message);
	release_name(session);
	explicit_bzero(session, sizeof *session);
	free(session);
	return err;
}

static struct err *serve_hello(struct receiver *receiver, struct channel *channel, const char *peer,
			       struct message *message)
{
	unsigned version = common_version(&message->hello);
	uint8_t token[WIRE_TOKEN_BYTES];

	if (!version)
		return err_advise(err_refused("the sender speaks another version of the protocol, we speak "
					      "%u to %u",
					      WIRE_OLDEST_VERSION, WIRE_VERSION),
				  "use the same version of p2v at both ends");
	if (message->hello.purpose == WIRE_CONTROL)
		return serve_control(receiver, channel, version, peer, message);
	memcpy(token, message->hello.token, sizeof token);
	return serve_lane(receiver, channel, version, token);
}

static struct err *serve_channel(struct receiver *receiver, struct channel *channel, const char *peer)
{
	CLEANUP_FREE struct message *message = malloc(sizeof *message);
	struct err *err;

	if (!message)
		return err_nomem();
	channel_set_limits(channel, receiver->options.silence_limit_ns, receiver->options.silence_limit_ns);
	err = channel_receive(channel, CHANNEL_TYPE(WIRE_HELLO), message, NULL);
	if (!err)
		err = serve_hello(receiver, channel, peer, message);
	if (err) {
		channel_refuse(channel, reason_of(err), err);
		channel_linger(channel);
	}
	return err;
}

struct err *receiver_serve(struct receiver *receiver, int fd, const char *peer)
{
	CLEANUP_CHANNEL struct channel *channel = NULL;
	struct tls *tls = NULL;
	struct err *err;

	err = tls_accept(receiver->options.key, fd, fd, receiver->options.silence_limit_ns, &tls);
	if (err)
		close(fd);
	else
		err = channel_create(tls, "the sender", &channel);
	if (!err)
		err = serve_channel(receiver, channel, peer);
	if (err)
		log_warning(receiver->options.log, "%s: %s", peer, err_message(err));
	return err;
}
