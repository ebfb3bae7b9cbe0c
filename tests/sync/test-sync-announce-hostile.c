/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines that have the key and lie in what they announce: refused with a line in
 * the log, nothing left behind, and the next one is served.  And receivers and
 * senders of the version before announcements.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/announce.h"
#include "p2v/sync/announced.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-sync-world.h"

#define FOLDER ".machines/01000000000000000000000000000000"

/* A connection made by hand, welcomed. */
struct teller {
	struct sync_world world;
	struct channel *channel;
	struct message *message;
};

static struct channel *come(struct teller *liar, unsigned max_version)
{
	const struct message_hello hello = {WIRE_OLDEST_VERSION, max_version, WIRE_CONTROL, {0}};
	struct channel *channel = sync_world_say_hello(&liar->world, hello);

	assert_null(channel_receive(channel, CHANNEL_TYPE(WIRE_WELCOME), liar->message, NULL));
	assert_int_equal(liar->message->welcome.version, max_version);
	return channel;
}

static void teller_init(struct teller *liar)
{
	sync_world_init(&liar->world);
	liar->message = xmalloc(sizeof *liar->message);
	liar->channel = come(liar, WIRE_VERSION);
}

static void teller_deinit(struct teller *liar)
{
	channel_destroy(liar->channel);
	free(liar->message);
	sync_world_deinit(&liar->world);
}
#define CLEANUP_TELLER CLEANUP(teller_deinit)

static struct message announcement(uint8_t id)
{
	return (struct message){
		.type = WIRE_ANNOUNCE,
		.announce = {.id = {id}, .phase = WIRE_PHASE_BOOTED, .texts[WIRE_TEXT_NAME] = {"web", 3}},
	};
}

static void say(struct channel *channel, const struct message *message)
{
	assert_null(channel_send(channel, message));
}

static void expect_alive(struct teller *liar, struct channel *channel)
{
	struct err *err = channel_receive(channel, CHANNEL_TYPE(WIRE_ALIVE), liar->message, NULL);

	if (err)
		fail_msg("%s", err_message(err));
}

static void announce(struct teller *liar, struct channel *channel, uint8_t id)
{
	const struct message message = announcement(id);

	say(channel, &message);
	expect_alive(liar, channel);
}

static void expect_refusal(struct teller *liar, const char *why)
{
	CLEANUP_ERR struct err *err =
		channel_receive(liar->channel, CHANNEL_TYPE(WIRE_ALIVE), liar->message, NULL);

	assert_non_null(err);
	if (!strstr(err_message(err), why))
		fail_msg("'%s' is not in '%s'", why, err_message(err));
	channel_interrupt(liar->channel);
	sync_world_settle(&liar->world);
	assert_true(liar->world.warnings > 0);
}

static bool exists(const struct teller *liar, const char *file)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", scratch_path(liar->world.scratch), file);

	return !access(path, F_OK);
}

static void expect_service(struct teller *liar)
{
	CLEANUP_CHANNEL struct channel *channel = come(liar, WIRE_VERSION);

	announce(liar, channel, 1);
	assert_true(exists(liar, FOLDER "/announced.json"));
	assert_null(channel_close(channel));
}

/* Messages, one after the other, of which the last is refused. */
static void test_lies(void **state)
{
	static const uint8_t data[8];
	const struct message first = announcement(1), other = announcement(2), alive = {.type = WIRE_ALIVE},
			     bundle = {.type = WIRE_BUNDLE, .bundle_bytes = 7},
			     part = {.type = WIRE_PART, .part = {data, 8}},
			     short_part = {.type = WIRE_PART, .part = {data, 6}}, sync = {.type = WIRE_SYNC},
			     job = {.type = WIRE_JOB,
				    .job = {"job", 3, {0}, 1, {{1 << 20, 0, 65536, 512, 512, "d", 1}}}};
	const struct {
		const struct message *messages[4];
		const char *why;
	} cases[] = {
		{{&alive}, "not its time"},
		{{&bundle}, "not its time"},
		{{&part}, "not its time"},
		{{&first, &other}, "of another machine"},
		{{&first, &job}, "not its time"},
		{{&first, &sync}, "not its time"},
		{{&first, &part}, "not its time"},
		{{&first, &bundle, &part}, "more than was told"},
		{{&first, &bundle, &alive}, "not its time"},
		{{&first, &bundle, &bundle}, "not its time"},
		{{&first, &bundle, &first}, "not its time"},
	};
	/* The parts of a bundle have no answer of their own: what is wrong comes at the end. */
	const struct message *const unanswered[] = {&first, &bundle, &short_part, &short_part};

	(void)state;
	for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
		bool is_last = i == sizeof cases / sizeof *cases;
		const struct message *const *messages = is_last ? unanswered : cases[i].messages;
		CLEANUP_TELLER struct teller liar = {0};

		teller_init(&liar);
		for (size_t k = 0; k < 4 && messages[k]; k++) {
			bool is_end = k == 3 || !messages[k + 1];

			say(liar.channel, messages[k]);
			if (!is_end && messages[k]->type != WIRE_PART)
				expect_alive(&liar, liar.channel);
		}
		expect_refusal(&liar, is_last ? "more than was told" : cases[i].why);
		assert_false(exists(&liar, FOLDER "/support.part"));
		assert_false(exists(&liar, FOLDER "/" ANNOUNCED_BUNDLE_FILE));
		assert_false(exists(&liar, "job"));
		expect_service(&liar);
	}
}

/* Texts that a terminal would obey, and a name that is a path: made by hand, as our own end makes none. */
static void test_texts(void **state)
{
	static const struct {
		enum wire_announce_text which;
		const char *text;
	} cases[] = {
		{WIRE_TEXT_NAME, "../web"},    {WIRE_TEXT_NAME, ".."},	      {WIRE_TEXT_NAME, ""},
		{WIRE_TEXT_VENDOR, "\x1b[2J"}, {WIRE_TEXT_REASON, "a\nb"},    {WIRE_TEXT_SERIAL, "\x9b"},
		{WIRE_TEXT_MODEL, "\x7f"},     {WIRE_TEXT_ADDRESSES, "\xff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_TELLER struct teller liar = {0};
		struct message message = announcement(1);

		teller_init(&liar);
		message.announce.texts[cases[i].which].text = cases[i].text;
		message.announce.texts[cases[i].which].bytes = strlen(cases[i].text);
		say(liar.channel, &message);
		expect_refusal(&liar, "a name or text that is not allowed");
		assert_false(exists(&liar, ".machines"));
		expect_service(&liar);
	}
}

/* Again and again, as fast as it can: refused at some time, not served for ever. */
static void test_flood(void **state)
{
	CLEANUP_TELLER struct teller liar = {0};
	struct err *err = NULL;

	(void)state;
	teller_init(&liar);
	for (unsigned i = 0; i < 10000 && !err; i++) {
		struct message message = announcement(1);

		message.announce.phase = i % 2 ? WIRE_PHASE_WAITING : WIRE_PHASE_SENDING;
		assert_null(channel_send(liar.channel, &message));
		err = channel_receive(liar.channel, CHANNEL_TYPE(WIRE_ALIVE), liar.message, NULL);
	}
	must_fail_as(err, ERR_FAILED, "too often");
	channel_interrupt(liar.channel);
	sync_world_settle(&liar.world);
	expect_service(&liar);
}

/* A bundle that breaks off leaves nothing; and of one machine only one comes at a time. */
static void test_bundle_breaks_off(void **state)
{
	static const uint8_t data[5];
	const struct message bundle = {.type = WIRE_BUNDLE, .bundle_bytes = 10},
			     part = {.type = WIRE_PART, .part = {data, 5}};
	CLEANUP_TELLER struct teller liar = {0};
	struct channel *other;

	(void)state;
	teller_init(&liar);
	other = come(&liar, WIRE_VERSION);
	announce(&liar, other, 1);
	say(other, &bundle);
	expect_alive(&liar, other);
	assert_true(exists(&liar, FOLDER "/support.part"));
	announce(&liar, liar.channel, 1);
	say(liar.channel, &bundle);
	{
		must_fail_as(channel_receive(liar.channel, CHANNEL_TYPE(WIRE_ALIVE), liar.message, NULL),
			     ERR_FAILED, "another bundle");
	}
	assert_true(exists(&liar, FOLDER "/support.part"));
	say(other, &part);
	channel_destroy(other);
	channel_interrupt(liar.channel);
	sync_world_settle(&liar.world);
	assert_false(exists(&liar, FOLDER "/support.part"));
	assert_false(exists(&liar, FOLDER "/" ANNOUNCED_BUNDLE_FILE));
	expect_service(&liar);
}

/* Who speaks version 1 has no announcements, and a job as ever. */
static void test_older_sender(void **state)
{
	const struct message first = announcement(1);
	CLEANUP_TELLER struct teller liar = {0};

	(void)state;
	teller_init(&liar);
	channel_destroy(liar.channel);
	liar.channel = come(&liar, WIRE_OLDEST_VERSION);
	say(liar.channel, &first);
	expect_refusal(&liar, "not its time");
	assert_false(exists(&liar, ".machines"));
}

/* A receiver that speaks version 1. */
struct older_receiver {
	const struct key *key;
	int fd;
};

static void *serve_as_older(void *arg)
{
	const struct older_receiver *receiver = arg;
	const struct message welcome = {.type = WIRE_WELCOME, .welcome = {1, 1, 4 << 20, {0}}};
	CLEANUP_FREE struct message *message = xmalloc(sizeof *message);
	CLEANUP_CHANNEL struct channel *channel = NULL;
	struct tls *tls;
	bool end = false;

	if (tls_accept(receiver->key, receiver->fd, receiver->fd, SYNC_ANSWER_LIMIT_NS, &tls) ||
	    channel_create(tls, "the sender", &channel) ||
	    channel_receive(channel, CHANNEL_TYPE(WIRE_HELLO), message, NULL) ||
	    message->hello.min_version > 1 || channel_send(channel, &welcome) ||
	    channel_receive(channel, 0, message, &end))
		return NULL;
	/* Nothing but a farewell came. */
	return end ? (void *)receiver : NULL;
}

static struct err *connect_to_older(void *arg, int *ret_fd)
{
	*ret_fd = dup(*(int *)arg);
	return NULL;
}

static void describe(void *arg, struct announcement *ret_announcement)
{
	(void)arg;
	ret_announcement->id[0] = 1;
	ret_announcement->name = xstrdup("web");
}

static void test_older_receiver(void **state)
{
	CLEANUP_KEY struct key *key = NULL;
	int fds[2];
	struct older_receiver receiver;
	CLEANUP_ANNOUNCER struct announcer *announcer = NULL;
	struct announce_options options = {
		.connect = connect_to_older, .connect_arg = &fds[0], .describe = describe};
	CLEANUP_ERR struct err *err = NULL;
	pthread_t thread;
	void *result;

	(void)state;
	assert_null(key_make(&key));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	receiver = (struct older_receiver){key, fds[1]};
	assert_int_equal(pthread_create(&thread, NULL, serve_as_older, &receiver), 0);
	options.key = key;
	assert_null(announcer_create(&options, &announcer));
	err = announcer_run(announcer);
	must_fail_as(take_ptr(err), ERR_REFUSED, "older version");
	pthread_join(thread, &result);
	assert_ptr_equal(result, &receiver);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),	     cmocka_unit_test(test_texts),
		cmocka_unit_test(test_flood),	     cmocka_unit_test(test_bundle_breaks_off),
		cmocka_unit_test(test_older_sender), cmocka_unit_test(test_older_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
