// SPDX-License-Identifier: GPL-3.0-or-later
/* The codec: what it takes becomes the same bytes again.  And what MACHINE carries. */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/machine.h"
#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-sync.h"
#include "tests/fuzz/lib-fuzz-target.h"

/* What a receiver keeps of it can be read again, and is the same then. */
static void try_machine(const uint8_t *text, size_t bytes)
{
	CLEANUP_JSON json_t *json = json_loadb((const char *)text, bytes, 0, NULL), *kept = NULL,
			    *again = NULL;
	CLEANUP_MACHINE struct machine machine = {0}, read_again = {0};

	if (!json || !fuzz_succeeds(machine_from_json(json, &machine)))
		return;
	kept = machine_to_json(&machine);
	fuzz_must(machine_from_json(kept, &read_again), "reading what is kept");
	again = machine_to_json(&read_again);
	FUZZ_ASSERT(json_equal(kept, again), "another machine");
}

static void try_message(const uint8_t *bytes, size_t count)
{
	CLEANUP_FREE struct message *message = xcalloc(1, sizeof *message);
	CLEANUP_FREE uint8_t *again = xmalloc(WIRE_MAX_HEAD_BYTES), *body = NULL;
	struct wire_header header;
	enum wire_type type = 0;
	uint32_t body_bytes = 0;
	const uint8_t *payload;
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
	FUZZ_ASSERT(again_bytes + wire_payload(message, &payload) == sizeof header + body_bytes,
		    "another length");
	FUZZ_ASSERT(!memcmp(again + sizeof header, body, again_bytes - sizeof header), "another message");
	if (type == WIRE_MACHINE)
		try_machine(payload, message->machine.text_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_sync_record record;

	while (fuzz_sync_take(&data, &size, &record))
		try_message(record.bytes, record.len_bytes);
	return 0;
}
