// SPDX-License-Identifier: GPL-3.0-or-later
/* The codec: what it takes becomes the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-image.h"
#include "tests/fuzz/lib-fuzz-sync.h"
#include "tests/fuzz/lib-fuzz-target.h"

static void try_message(const uint8_t *bytes, size_t count)
{
	CLEANUP_FREE struct message *message = xcalloc(1, sizeof *message);
	CLEANUP_FREE uint8_t *again = xmalloc(WIRE_MAX_HEAD_BYTES), *body = NULL;
	struct wire_header header;
	enum wire_type type = 0;
	uint32_t body_bytes = 0;
	size_t again_bytes;

	if (count < sizeof header)
		return;
	memcpy(&header, bytes, sizeof header);
	if (wire_decode_header(&header, &type, &body_bytes)) {
		/* The length is tried all the same. */
		type = header.type;
		body_bytes = count - sizeof header;
	}
	if (body_bytes > count - sizeof header)
		return;
	/* Exactly so much memory, for the sanitizer to see what is read behind it. */
	body = xmemdup(bytes + sizeof header, body_bytes);
	if (wire_decode(type, body, body_bytes, message))
		return;
	again_bytes = wire_encode(message, again);
	if (type == WIRE_DATA)
		FUZZ_ASSERT(again_bytes + message->data.payload_bytes == sizeof header + body_bytes,
			    "another length");
	else
		FUZZ_ASSERT(again_bytes == sizeof header + body_bytes, "another length");
	FUZZ_ASSERT(!memcmp(again + sizeof header, body, again_bytes - sizeof header), "another message");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_sync_record record;

	while (fuzz_sync_take(&data, &size, &record))
		try_message(record.bytes, record.len_bytes);
	return 0;
}
