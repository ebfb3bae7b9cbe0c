// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/fuzz/lib-fuzz-sync.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"

bool fuzz_sync_take(const uint8_t **at, size_t *left, struct fuzz_sync_record *ret_record)
{
	if (*left < 3)
		return false;
	ret_record->where = (*at)[0] % FUZZ_SYNC_PLACES;
	ret_record->len_bytes = (*at)[1] | (size_t)(*at)[2] << 8;
	*at += 3;
	*left -= 3;
	if (ret_record->len_bytes > *left)
		ret_record->len_bytes = *left;
	ret_record->bytes = *at;
	*at += ret_record->len_bytes;
	*left -= ret_record->len_bytes;
	return true;
}

bool fuzz_sync_put(FILE *to, enum fuzz_sync_where where, const struct message *message)
{
	CLEANUP_FREE uint8_t *bytes = xmalloc(WIRE_MAX_HEAD_BYTES);
	size_t count = wire_encode(message, bytes);
	const uint8_t *payload;
	size_t payload_bytes = wire_payload(message, &payload), all = count + payload_bytes;
	uint8_t head[3] = {where, all & 0xff, all >> 8 & 0xff};

	return fwrite(head, sizeof head, 1, to) == 1 && fwrite(bytes, count, 1, to) == 1 &&
	       (!payload_bytes || fwrite(payload, payload_bytes, 1, to) == 1);
}

/* A page of text, a page's start of something else; the rest zeros. */
struct blk *fuzz_sync_disk(void)
{
	CLEANUP_FREE char *text = xcalloc(1, 128 << 10);
	struct blk *disk;

	for (size_t i = 0; i < 128 << 10; i++)
		text[i] = "fuzzing the sender "[i % 19];
	if (blk_mem_create(FUZZ_SYNC_DISK_BYTES, &disk) || blk_pwrite(disk, text, 128 << 10, 64 << 10, 0) ||
	    blk_pwrite(disk, text, 600, FUZZ_SYNC_DISK_BYTES - 600, 0))
		abort();
	return disk;
}
