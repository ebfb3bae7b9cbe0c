/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/sync/sender-impl.h"

void credit_deinit(struct credit *credit)
{
	free(credit->costs);
}

struct err *credit_acknowledge(struct credit *credit, uint64_t count)
{
	size_t acknowledged = count - credit->durable_count;

	if (count < credit->durable_count || count > credit->sent_count)
		return err_failed("the receiver broke the protocol: DURABLE: of what was not sent");
	if (!acknowledged)
		return NULL;
	for (size_t i = 0; i < acknowledged; i++)
		credit->unacknowledged_bytes -= credit->costs[i];
	memmove(credit->costs, credit->costs + acknowledged,
		(credit->sent_count - count) * sizeof *credit->costs);
	credit->durable_count = count;
	return NULL;
}

static struct err *take_durable(struct credit *credit)
{
	CLEANUP_FREE struct message *message = malloc(sizeof *message);

	if (!message)
		return err_nomem();
	TRY(channel_receive(credit->channel, CHANNEL_TYPE(WIRE_DURABLE), message, NULL));
	return credit_acknowledge(credit, message->durable);
}

struct err *credit_collect(struct credit *credit, bool all)
{
	const struct message sync = {.type = WIRE_SYNC};

	if (!all) {
		while (channel_has_input(credit->channel))
			TRY(take_durable(credit));
		return NULL;
	}
	TRY(channel_send(credit->channel, &sync));
	while (credit->durable_count < credit->sent_count)
		TRY(take_durable(credit));
	return NULL;
}

struct err *credit_take(struct credit *credit, uint32_t cost_bytes)
{
	size_t waiting;

	while (credit->unacknowledged_bytes + cost_bytes > credit->window_bytes)
		TRY(take_durable(credit));
	waiting = credit->sent_count - credit->durable_count;
	array_grow(credit->costs, waiting, credit->capacity);
	credit->costs[waiting] = cost_bytes;
	credit->unacknowledged_bytes += cost_bytes;
	credit->sent_count++;
	return NULL;
}
