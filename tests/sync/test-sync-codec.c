/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to bytes and back, and what must not be taken for a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"
#include "p2v/sync/codec.h"

static const uint8_t payload[] = "content";
static const wire_hash some_hashes[WIRE_MAX_HASHES] = {"one", "two", "three"};
static const struct root some_roots[2] = {{{1}}, {{2}}};

static struct message job_message(void)
{
	struct message message = {
		.type = WIRE_JOB,
		.job = {.name = "server-1", .name_bytes = 8, .disk_count = 2},
	};

	memcpy(message.job.run, "the sixteenth run", WIRE_RUN_BYTES);
	message.job.disks[0] = (struct message_disk){1 << 20, 1000, 65536, 512, 4096, "wwn-1", 5};
	message.job.disks[1] = (struct message_disk){8192, 8192, 1 << 20, 4096, 4096, "serial 2", 8};
	return message;
}

static struct message announce_message(void)
{
	struct message message = {
		.type = WIRE_ANNOUNCE,
		.announce = {.id = "the id", .up_seconds = 77, .phase = WIRE_PHASE_FAILED},
	};
	static const char *const texts[WIRE_ANNOUNCE_TEXTS] = {"web", "Vendor",	      "",
							       "S1",  "192.0.2.7/24", "no disk"};

	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++) {
		message.announce.texts[i].text = texts[i];
		message.announce.texts[i].bytes = strlen(texts[i]);
	}
	return message;
}

/* One of each type. */
static size_t make_messages(struct message *messages)
{
	struct message list[] = {
		{.type = WIRE_HELLO, .hello = {1, 3, WIRE_LANE, "token"}},
		{.type = WIRE_WELCOME, .welcome = {1, 4, 16 << 20, "token"}},
		{.type = WIRE_REFUSED, .refused = {WIRE_NOT_ALLOWED, "no room", 7, "make some", 9}},
		job_message(),
		{.type = WIRE_READY, .ready = {(const uint8_t *)some_roots, (const uint8_t *)"\1\0", 2}},
		{.type = WIRE_ALIVE},
		{.type = WIRE_COMMIT, .commit = {WIRE_COMMIT_FLAGS, some_roots, 2}},
		{.type = WIRE_COMMITTED, .committed = {"root"}},
		{.type = WIRE_QUERY, .query = {1, WIRE_PAGES, 3, 1ull << 40}},
		{.type = WIRE_HASHES, .hashes = {{1, WIRE_BLOCKS, 3, 7}, some_hashes}},
		{.type = WIRE_DATA, .data = {1, WIRE_ZSTD, 2, 99, some_hashes, payload, sizeof payload}},
		{.type = WIRE_ZERO, .zero = {1, 5, 1ull << 30}},
		{.type = WIRE_SYNC},
		{.type = WIRE_DURABLE, .durable = 77},
		{.type = WIRE_MACHINE, .machine = {payload, sizeof payload}},
		announce_message(),
		{.type = WIRE_BUNDLE, .bundle_bytes = WIRE_MAX_BUNDLE_BYTES},
		{.type = WIRE_PART, .part = {payload, sizeof payload}},
	};

	memcpy(messages, list, sizeof list);
	return sizeof list / sizeof *list;
}

/* The whole message as it goes over the wire. */
static size_t to_bytes(const struct message *message, uint8_t *buf)
{
	size_t bytes = wire_encode(message, buf);

	const uint8_t *behind;
	size_t behind_bytes = wire_payload(message, &behind);

	if (behind_bytes)
		memcpy(buf + bytes, behind, behind_bytes);
	return bytes + behind_bytes;
}

static enum wire_result from_bytes(const uint8_t *buf, size_t bytes, struct message *message)
{
	const struct wire_header *header = (const struct wire_header *)buf;
	enum wire_type type = 0;
	uint32_t body_bytes = 0;
	enum wire_result result = wire_decode_header(header, &type, &body_bytes);

	if (result)
		return result;
	if (body_bytes != bytes - sizeof *header)
		return WIRE_BAD_LENGTH;
	return wire_decode(type, buf + sizeof *header, body_bytes, message);
}

static void test_round_trip(void **state)
{
	CLEANUP_FREE struct message *messages = xcalloc(WIRE_PART, sizeof *messages),
				    *back = xcalloc(1, sizeof *back);
	CLEANUP_FREE uint8_t *buf = xmalloc(WIRE_MAX_HEAD_BYTES + 100),
			     *again = xmalloc(WIRE_MAX_HEAD_BYTES + 100);
	size_t count = make_messages(messages);

	(void)state;
	assert_int_equal(count, WIRE_PART);
	for (size_t i = 0; i < count; i++) {
		size_t bytes = to_bytes(&messages[i], buf);

		assert_int_equal(from_bytes(buf, bytes, back), WIRE_OK);
		assert_int_equal(back->type, i + 1);
		assert_int_equal(to_bytes(back, again), bytes);
		assert_memory_equal(buf, again, bytes);
		assert_string_not_equal(wire_type_name(back->type), "unknown");
	}
}

/* Each message shortened and lengthened: never taken, except where the length is free. */
static void test_lengths(void **state)
{
	CLEANUP_FREE struct message *messages = xcalloc(WIRE_PART, sizeof *messages),
				    *back = xcalloc(1, sizeof *back);
	CLEANUP_FREE uint8_t *buf = xcalloc(1, WIRE_MAX_HEAD_BYTES + 100);
	size_t count = make_messages(messages);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		bool is_free = messages[i].type == WIRE_DATA || messages[i].type == WIRE_READY ||
			       messages[i].type == WIRE_MACHINE || messages[i].type == WIRE_PART;
		size_t bytes = to_bytes(&messages[i], buf);

		for (size_t shorter = sizeof(struct wire_header); shorter < bytes; shorter++) {
			/* Exactly so much memory, for the sanitizer to see what is read behind it. */
			CLEANUP_FREE uint8_t *cut = xmemdup(buf, shorter);

			((struct wire_header *)cut)->body_bytes =
				le32_make(shorter - sizeof(struct wire_header));
			/* A COMMIT of fewer disks is one, and so is a REFUSED with less advice. */
			if (!is_free && messages[i].type != WIRE_COMMIT && messages[i].type != WIRE_REFUSED)
				assert_int_not_equal(from_bytes(cut, shorter, back), WIRE_OK);
			else
				(void)from_bytes(cut, shorter, back);
		}
		((struct wire_header *)buf)->body_bytes = le32_make(bytes + 1 - sizeof(struct wire_header));
		buf[bytes] = 0;
		assert_int_equal(from_bytes(buf, bytes + 1, back) == WIRE_OK, is_free);
	}
}

static void test_headers(void **state)
{
	static const struct {
		struct wire_header header;
		enum wire_result result;
	} cases[] = {
		{{{0}, 0, {0}}, WIRE_BAD_TYPE},
		{{{0}, WIRE_PART + 1, {0}}, WIRE_BAD_TYPE},
		{{{0}, 255, {0}}, WIRE_BAD_TYPE},
		{{{0}, WIRE_ALIVE, {0}}, WIRE_OK},
		{{{0}, WIRE_ALIVE, {0, 0, 1}}, WIRE_BAD_FIELD},
		{{{1}, WIRE_ALIVE, {0}}, WIRE_BAD_LENGTH},
		{{{WIRE_MAX_BODY_BYTES}, WIRE_DATA, {0}}, WIRE_OK},
		{{{WIRE_MAX_BODY_BYTES + 1}, WIRE_DATA, {0}}, WIRE_BAD_LENGTH},
		{{{0xffffffff}, WIRE_HASHES, {0}}, WIRE_BAD_LENGTH},
		{{{WIRE_MAX_PART_BYTES}, WIRE_PART, {0}}, WIRE_OK},
		{{{WIRE_MAX_PART_BYTES + 1}, WIRE_PART, {0}}, WIRE_BAD_LENGTH},
		{{{0}, WIRE_PART, {0}}, WIRE_BAD_LENGTH},
		{{{1 << 20}, WIRE_ANNOUNCE, {0}}, WIRE_BAD_LENGTH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire_header header = cases[i].header;
		enum wire_type type;
		uint32_t bytes;

		header.body_bytes = le32_make(header.body_bytes.raw);
		assert_int_equal(wire_decode_header(&header, &type, &bytes), cases[i].result);
	}
}

/* A byte of the body replaced: what the message says then is not allowed. */
static void test_fields(void **state)
{
	static const struct {
		enum wire_type type;
		size_t at;
		uint8_t value;
		enum wire_result result;
	} cases[] = {
		{WIRE_HELLO, 0, 'P', WIRE_BAD_MAGIC},
		{WIRE_HELLO, 8, 9, WIRE_BAD_FIELD}, /* min over max */
		{WIRE_HELLO, 12, 3, WIRE_BAD_FIELD}, /* purpose */
		{WIRE_HELLO, 12, WIRE_CONTROL, WIRE_BAD_FIELD}, /* with a token */
		{WIRE_HELLO, 14, 1, WIRE_BAD_FIELD},
		{WIRE_WELCOME, 2, 0, WIRE_BAD_FIELD}, /* no lanes */
		{WIRE_WELCOME, 2, 5, WIRE_BAD_FIELD}, /* 5 times 16 MiB */
		{WIRE_WELCOME, 7, 2, WIRE_BAD_FIELD},
		{WIRE_REFUSED, 0, 0, WIRE_BAD_FIELD},
		{WIRE_REFUSED, 2, 17, WIRE_BAD_LENGTH},
		{WIRE_REFUSED, 12, 0x1b, WIRE_BAD_TEXT},
		{WIRE_REFUSED, 5, 0x1b, WIRE_BAD_TEXT},
		{WIRE_JOB, 0, 0, WIRE_BAD_TEXT},
		{WIRE_JOB, 1, 0xff, WIRE_BAD_LENGTH},
		{WIRE_JOB, 2, 0, WIRE_BAD_FIELD}, /* no disks */
		{WIRE_JOB, 2, 1, WIRE_BAD_LENGTH}, /* one, and something behind it */
		{WIRE_JOB, 2, 3, WIRE_BAD_LENGTH},
		{WIRE_JOB, 3, 2, WIRE_BAD_FIELD}, /* more than WIRE_MAX_DISKS */
		{WIRE_JOB, 4, 1, WIRE_BAD_FIELD},
		{WIRE_JOB, 24, '.', WIRE_BAD_TEXT},
		{WIRE_JOB, 25, '/', WIRE_BAD_TEXT},
		{WIRE_JOB, 25, 0, WIRE_BAD_TEXT},
		{WIRE_JOB, 32, 1, WIRE_BAD_FIELD}, /* size no multiple of a sector */
		{WIRE_JOB, 39, 1, WIRE_BAD_FIELD}, /* size */
		{WIRE_JOB, 42, 0xff, WIRE_BAD_FIELD}, /* data_bytes over size */
		{WIRE_JOB, 49, 0x10, WIRE_BAD_FIELD}, /* block_bytes */
		{WIRE_JOB, 50, 0, WIRE_BAD_FIELD},
		{WIRE_JOB, 53, 3, WIRE_BAD_FIELD}, /* sectors */
		{WIRE_JOB, 56, 0, WIRE_BAD_TEXT},
		{WIRE_JOB, 57, 1, WIRE_BAD_LENGTH},
		{WIRE_JOB, 58, 1, WIRE_BAD_FIELD},
		{WIRE_JOB, 64, '\n', WIRE_BAD_TEXT},
		{WIRE_READY, 32, 2, WIRE_BAD_FIELD},
		{WIRE_COMMIT, 0, WIRE_COMMIT_FLAGS + 1, WIRE_BAD_FIELD},
		{WIRE_COMMIT, 4, 1, WIRE_BAD_FIELD},
		{WIRE_QUERY, 4, 2, WIRE_BAD_FIELD},
		{WIRE_QUERY, 6, 0, WIRE_BAD_FIELD},
		{WIRE_QUERY, 7, 0x11, WIRE_BAD_FIELD},
		{WIRE_HASHES, 6, 4, WIRE_BAD_LENGTH},
		{WIRE_DATA, 4, 2, WIRE_BAD_FIELD},
		{WIRE_DATA, 6, 0, WIRE_BAD_FIELD},
		{WIRE_DATA, 6, 17, WIRE_BAD_FIELD},
		{WIRE_DATA, 6, 16, WIRE_BAD_LENGTH},
		{WIRE_ZERO, 4, 1, WIRE_BAD_FIELD},
		{WIRE_ANNOUNCE, 20, WIRE_PHASES, WIRE_BAD_FIELD},
		{WIRE_ANNOUNCE, 21, 1, WIRE_BAD_FIELD},
		{WIRE_ANNOUNCE, 24, 0, WIRE_BAD_TEXT}, /* no name */
		{WIRE_ANNOUNCE, 24, 2, WIRE_BAD_LENGTH}, /* and something behind the last text */
		{WIRE_ANNOUNCE, 25, 1, WIRE_BAD_LENGTH},
		{WIRE_ANNOUNCE, 34, 255, WIRE_BAD_LENGTH},
		{WIRE_ANNOUNCE, 36, '/', WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 36, '.', WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 38, ' ', WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 40, 0x1b, WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 40, '\n', WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 40, 0x9b, WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 40, 0x7f, WIRE_BAD_TEXT},
		{WIRE_ANNOUNCE, 40, 0, WIRE_BAD_TEXT},
		{WIRE_BUNDLE, 0, 1, WIRE_BAD_FIELD}, /* one more than may be */
		{WIRE_BUNDLE, 3, 0, WIRE_BAD_FIELD}, /* nothing */
		{WIRE_BUNDLE, 4, 1, WIRE_BAD_FIELD},
	};
	CLEANUP_FREE struct message *messages = xcalloc(WIRE_PART, sizeof *messages),
				    *back = xcalloc(1, sizeof *back);
	CLEANUP_FREE uint8_t *buf = xmalloc(WIRE_MAX_HEAD_BYTES + 100);

	(void)state;
	make_messages(messages);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t bytes = to_bytes(&messages[cases[i].type - 1], buf);
		enum wire_result result;

		buf[sizeof(struct wire_header) + cases[i].at] = cases[i].value;
		result = from_bytes(buf, bytes, back);
		if (result != cases[i].result)
			fail_msg("%s, byte %zu: %s instead of %s", wire_type_name(cases[i].type), cases[i].at,
				 wire_result_name(result), wire_result_name(cases[i].result));
	}
}

static void test_same_id_twice(void **state)
{
	CLEANUP_FREE struct message *back = xcalloc(1, sizeof *back);
	CLEANUP_FREE uint8_t *buf = xmalloc(WIRE_MAX_HEAD_BYTES);
	struct message message = job_message();

	(void)state;
	message.job.disks[1].id = "wwn-1";
	message.job.disks[1].id_bytes = 5;
	assert_int_equal(from_bytes(buf, to_bytes(&message, buf), back), WIRE_BAD_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_headers),	      cmocka_unit_test(test_fields),
		cmocka_unit_test(test_same_id_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
