/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pairing keys as characters and as bits.  The characters themselves, as
 * numbers from 0 to 31, are what is derived from; see key.h for the check.
 */
#include "p2v/sync/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "p2v/base/blake3.h"
#include "p2v/sync/key-memory.h"

#define RANDOM_CHARACTERS (KEY_CHARACTERS - 1)
#define GROUP_CHARACTERS 5

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* In GF(32) made by x^5 + x^2 + 1, where x is primitive. */
static unsigned times_x(unsigned a)
{
	a <<= 1;
	return a & 0x20 ? a ^ 0x25 : a;
}

/* Sum of c[i] x^(count - 1 - i), by Horner; a whole key gives 0. */
static unsigned check_sum(const uint8_t *characters, size_t count)
{
	unsigned sum = 0;

	for (size_t i = 0; i < count; i++)
		sum = times_x(sum) ^ characters[i];
	return sum;
}

struct err *key_alloc(struct key **ret_key)
{
	struct key *key = mmap(NULL, sizeof *key, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (key == MAP_FAILED)
		return err_nomem();
	/* Both may be forbidden to us, and then there is nothing better. */
	(void)madvise(key, sizeof *key, MADV_DONTDUMP);
	(void)mlock(key, sizeof *key);
	*ret_key = key;
	return NULL;
}

void key_destroy(struct key *key)
{
	if (!key)
		return;
	explicit_bzero(key, sizeof *key);
	munmap(key, sizeof *key);
}

struct err *key_make(struct key **ret_key)
{
	CLEANUP_KEY struct key *key = NULL;

	TRY(key_alloc(&key));
	if (getrandom(key->characters, RANDOM_CHARACTERS, 0) != RANDOM_CHARACTERS)
		return err_from_errno(errno, "random numbers for a pairing key");
	for (size_t i = 0; i < RANDOM_CHARACTERS; i++)
		key->characters[i] &= 0x1f;
	/* The last one's factor is 1. */
	key->characters[RANDOM_CHARACTERS] = times_x(check_sum(key->characters, RANDOM_CHARACTERS));
	*ret_key = take_ptr(key);
	return NULL;
}

/* The number behind a character, -1 if it is none of a key's. */
static int value_of(char c)
{
	const char *found;

	if (c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	if (c == 'O')
		return 0;
	if (c == 'I' || c == 'L')
		return 1;
	found = c ? strchr(alphabet, c) : NULL;
	return found ? (int)(found - alphabet) : -1;
}

static struct err *bad_key(const char *why)
{
	return err_advise(err_usage("the pairing key %s", why),
			  "type it again as the receiver shows it: %u characters in groups of %u",
			  KEY_CHARACTERS, GROUP_CHARACTERS);
}

struct err *key_parse(const char *text, struct key **ret_key)
{
	CLEANUP_KEY struct key *key = NULL;
	size_t count = 0;

	TRY(key_alloc(&key));
	for (; *text; text++) {
		int value = value_of(*text);

		if (strchr(" -\t\r\n", *text))
			continue;
		if (value < 0)
			return bad_key("has a character that is never in one (U, or no letter or digit)");
		if (count < KEY_CHARACTERS)
			key->characters[count] = value;
		count++;
	}
	if (count < KEY_CHARACTERS)
		return bad_key("is too short");
	if (count > KEY_CHARACTERS)
		return bad_key("is too long");
	if (check_sum(key->characters, KEY_CHARACTERS))
		return bad_key("has a typing error");
	*ret_key = take_ptr(key);
	return NULL;
}

void key_format(const struct key *key, char ret_text[KEY_TEXT_BYTES])
{
	for (size_t i = 0; i < KEY_CHARACTERS; i++) {
		if (i && i % GROUP_CHARACTERS == 0)
			*ret_text++ = '-';
		*ret_text++ = alphabet[key->characters[i]];
	}
	*ret_text = '\0';
}

static void derive(const struct key *key, const char *context, uint8_t *ret_bytes, size_t bytes)
{
	struct blake3 hash;

	blake3_begin_derive(context, &hash);
	blake3_add(&hash, key->characters, sizeof key->characters);
	blake3_end(&hash, ret_bytes, bytes);
	explicit_bzero(&hash, sizeof hash);
}

void key_derive_psk(const struct key *key, char ret_identity[KEY_IDENTITY_BYTES],
		    uint8_t ret_secret[KEY_SECRET_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t identity[KEY_IDENTITY_BYTES / 2];

	derive(key, "p2v sync 2026-11-22 PSK identity", identity, sizeof identity);
	derive(key, "p2v sync 2026-11-22 PSK secret", ret_secret, KEY_SECRET_BYTES);
	for (size_t i = 0; i < sizeof identity; i++) {
		*ret_identity++ = digits[identity[i] >> 4];
		*ret_identity++ = digits[identity[i] & 15];
	}
}
