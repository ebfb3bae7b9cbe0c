/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BLAKE3 against the published test vectors: input is the bytes 0…250 again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/blake3.h"

#define INPUT_BYTES 102400

static uint8_t input[INPUT_BYTES];
static const uint8_t key[] = "whats the Elvish word for friend";
static const char context[] = "BLAKE3 2019-12-27 16:29:52 test vectors context";

static int make_input(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof input; i++)
		input[i] = i % 251;
	return 0;
}

static void assert_digest(const struct blake3 *hash, const char *expected)
{
	uint8_t digest[BLAKE3_DIGEST_BYTES];
	char text[2 * sizeof digest + 1];

	blake3_end(hash, digest, sizeof digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, expected);
}

static void test_vectors(void **state)
{
	static const struct {
		size_t len_bytes;
		const char *plain, *keyed, *derived;
	} vectors[] = {
		{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		 "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
		 "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"},
		{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
		 "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
		 "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"},
		{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
		 "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
		 "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"},
		{102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
		 "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
		 "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"},
	};
	struct blake3 hash;

	(void)state;
	assert_int_equal(sizeof key - 1, BLAKE3_KEY_BYTES);
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		blake3_begin(&hash);
		blake3_add(&hash, input, vectors[i].len_bytes);
		assert_digest(&hash, vectors[i].plain);
		blake3_begin_keyed(key, &hash);
		blake3_add(&hash, input, vectors[i].len_bytes);
		assert_digest(&hash, vectors[i].keyed);
		blake3_begin_derive(context, &hash);
		blake3_add(&hash, input, vectors[i].len_bytes);
		assert_digest(&hash, vectors[i].derived);
	}
}

static void test_in_parts(void **state)
{
	static const size_t parts[] = {1, 63, 64, 65, 1000, 1024, 4097, 70000};
	struct blake3 hash;

	(void)state;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		blake3_begin(&hash);
		for (size_t at = 0; at < INPUT_BYTES; at += parts[i])
			blake3_add(&hash, input + at,
				   INPUT_BYTES - at < parts[i] ? INPUT_BYTES - at : parts[i]);
		assert_digest(&hash, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085");
	}
}

static void test_blocks(void **state)
{
	enum { BLOCK = 30000, COUNT = 4, DIGEST = 16 };
	uint8_t digests[COUNT * DIGEST], one[BLAKE3_DIGEST_BYTES];
	struct blake3 hash;

	(void)state;
	blake3_hash_blocks(key, input, INPUT_BYTES, BLOCK, digests, DIGEST);
	for (size_t i = 0; i < COUNT; i++) {
		size_t left = INPUT_BYTES - i * BLOCK;

		blake3_begin_keyed(key, &hash);
		blake3_add(&hash, input + i * BLOCK, left < BLOCK ? left : BLOCK);
		blake3_end(&hash, one, sizeof one);
		assert_memory_equal(one, digests + i * DIGEST, DIGEST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_in_parts),
		cmocka_unit_test(test_blocks),
	};

	return cmocka_run_group_tests(tests, make_input, NULL);
}
