// SPDX-License-Identifier: GPL-3.0-or-later
/* A receiver that says anything, behind the handshake: a sender sends a small disk to it, and ends. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/sync/sender.h"
#include "tests/fuzz/lib-fuzz-exercise.h"
#include "tests/fuzz/lib-fuzz-sync.h"
#include "tests/fuzz/lib-fuzz-target.h"

#define CONNECTIONS 3

struct receiver {
	const uint8_t *data;
	size_t size;
	int ends[CONNECTIONS];
	atomic_uint count;
};

/* All that it will say on this connection is there at once. */
static struct err *connect_to(void *arg, int *ret_fd)
{
	struct receiver *receiver = arg;
	unsigned number = atomic_fetch_add(&receiver->count, 1);
	const uint8_t *at = receiver->data;
	size_t left = receiver->size;
	struct fuzz_sync_record record;
	int fds[2];

	if (number >= CONNECTIONS)
		return err_failed("too many connections");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	while (fuzz_sync_take(&at, &left, &record))
		if (record.where == number && record.len_bytes)
			(void)!send(fds[1], record.bytes, record.len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fds[1], SHUT_WR);
	receiver->ends[number] = fds[1];
	*ret_fd = fds[0];
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct receiver receiver = {.data = data, .size = size, .ends = {-1, -1, -1}};
	CLEANUP_BLK struct blk *disk = fuzz_sync_disk();
	const struct sender_disk disks[] = {{disk, "sda"}};
	const struct sender_options options = {
		.connect = connect_to,
		.connect_arg = &receiver,
		.name = "job",
		.disks = disks,
		.disk_count = 1,
		.lanes = CONNECTIONS - 1,
	};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	static const struct root none;

	if (fuzz_succeeds(sender_run(&options, &result)))
		FUZZ_ASSERT(memcmp(&result.root, &none, sizeof none), "complete without a root");
	FUZZ_ASSERT(result.read_bytes <= FUZZ_SYNC_DISK_BYTES, "read more than there is");
	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (receiver.ends[i] >= 0)
			close(receiver.ends[i]);
	return 0;
}
