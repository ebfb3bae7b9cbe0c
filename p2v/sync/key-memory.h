/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a key is inside; for key.c and key-file.c alone. */
#ifndef P2V_SYNC_KEY_MEMORY_H
#define P2V_SYNC_KEY_MEMORY_H

#include "p2v/sync/key.h"

#define KEY_CHARACTERS 25

struct key {
	uint8_t characters[KEY_CHARACTERS]; /* 0…31 each */
};

/* Zeros, in memory that no core file takes in. */
struct err *key_alloc(struct key **ret_key) ERR_MUST_CHECK;

#endif
