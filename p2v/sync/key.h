/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pairing key: what a person carries from the receiver to the sender.
 *
 * 25 characters of Crockford's base 32 in groups of five, 125 bits in all: 24 characters are random, the last
 * is a check.  120 random bits are beyond any search, on line or off; the check makes sure that a slip of the
 * finger is told at once, and not as a failed connection that might have other causes.  It is the sum of the
 * characters in GF(32), each times another power of a primitive element, so that one wrong character
 * and two exchanged ones are always found, and anything else 31 times of 32.
 *
 * A key is in memory of its own, which goes into no core file and is wiped at the end.  It is never part of
 * a message to a log or of an error.
 */
#ifndef P2V_SYNC_KEY_H
#define P2V_SYNC_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"

struct key;

#define KEY_TEXT_BYTES 30 /* "ABCDE-FGHJK-MNPQR-STVWX-YZ012" and the NUL */

struct err *key_make(struct key **ret_key) ERR_MUST_CHECK;

/* Takes what people type: lower case, O for 0, I and L for 1, blanks and dashes anywhere.  ERR_USAGE says
 * what is wrong with it, without repeating it. */
struct err *key_parse(const char *text, struct key **ret_key) ERR_MUST_CHECK;

void key_format(const struct key *key, char ret_text[KEY_TEXT_BYTES]);

/* Reads a key file.  ERR_REFUSED if others than its owner may read it, or it is not ours or root's. */
struct err *key_read_file(const char *path, struct key **ret_key) ERR_MUST_CHECK;

/* The same, and makes the file (mode 0600), durable, if there is none; of two who do so at once both get one
 * key. */
struct err *key_read_or_make_file(const char *path, struct key **ret_key) ERR_MUST_CHECK;

void key_destroy(struct key *key); /* wipes; takes NULL */

/* What TLS knows of a key: an identity that does not tell it, and a secret, of which the caller wipes its
 * copy. */
#define KEY_IDENTITY_BYTES 32 /* hexadecimal digits, without a NUL */
#define KEY_SECRET_BYTES 32
void key_derive_psk(const struct key *key, char ret_identity[KEY_IDENTITY_BYTES],
		    uint8_t ret_secret[KEY_SECRET_BYTES]);

DEFINE_CLEANUP(key, struct key *, key_destroy)
#define CLEANUP_KEY CLEANUP(cleanup_key)

#endif
