/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/channel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* How long the other end may take to read why it was refused. */
#define LINGER_NS 5000000000ull

struct channel {
	struct tls *tls;
	char *other_end;
	uint8_t *in; /* the body of the last message received */
	size_t in_capacity;
	uint8_t *out;
	_Atomic uint64_t sent_bytes, received_bytes;
	bool has_refused;
};

struct err *channel_create(struct tls *tls, const char *other_end, struct channel **ret_channel)
{
	struct channel *channel = calloc(1, sizeof *channel);

	if (channel)
		channel->out = malloc(WIRE_MAX_HEAD_BYTES);
	if (!channel || !channel->out) {
		free(channel);
		tls_destroy(tls);
		return err_nomem();
	}
	channel->tls = tls;
	channel->other_end = xstrdup(other_end);
	*ret_channel = channel;
	return NULL;
}

void channel_destroy(struct channel *channel)
{
	if (!channel)
		return;
	tls_destroy(channel->tls);
	free(channel->other_end);
	free(channel->in);
	free(channel->out);
	free(channel);
}

void channel_set_limits(struct channel *channel, uint64_t read_limit_ns, uint64_t write_limit_ns)
{
	tls_set_read_limit(channel->tls, read_limit_ns);
	tls_set_write_limit(channel->tls, write_limit_ns);
}

struct err *channel_send(struct channel *channel, const struct message *message)
{
	size_t head_bytes = wire_encode(message, channel->out);
	const uint8_t *payload;
	size_t payload_bytes = wire_payload(message, &payload);

	channel->sent_bytes += head_bytes + payload_bytes;
	if (!payload_bytes)
		return err_wrap(tls_write(channel->tls, channel->out, head_bytes), "%s", channel->other_end);
	TRY(err_wrap(tls_write_more(channel->tls, channel->out, head_bytes), "%s", channel->other_end));
	return err_wrap(tls_write(channel->tls, payload, payload_bytes), "%s", channel->other_end);
}

static struct err *broken(const struct channel *channel, const char *type, const char *what)
{
	return err_advise(err_failed("%s broke the protocol: %s: %s", channel->other_end, type, what),
			  "see that both ends are of the same version of p2v");
}

static struct err *make_room(struct channel *channel, size_t bytes)
{
	uint8_t *larger;

	if (bytes <= channel->in_capacity)
		return NULL;
	larger = realloc(channel->in, bytes);
	if (!larger)
		return err_nomem();
	channel->in = larger;
	channel->in_capacity = bytes;
	return NULL;
}

/* Whether the same may work if it is tried again. */
static bool may_pass(enum wire_reason reason)
{
	return reason == WIRE_FAILED || reason == WIRE_NO_SESSION;
}

static struct err *be_refused(const struct channel *channel, const struct message_refused *refused)
{
	struct err *err =
		err_refused("%s says: %.*s", channel->other_end, (int)refused->text_bytes, refused->text);

	if (refused->advice_bytes)
		err = err_advise(err, "%.*s", (int)refused->advice_bytes, refused->advice);
	if (!may_pass(refused->reason))
		return err_advise(err, "see the log of %s", channel->other_end);
	return err_as(err_advise(err, "run the same command again: it goes on where it was"), ERR_FAILED);
}

struct err *channel_receive(struct channel *channel, unsigned allowed, struct message *ret_message,
			    bool *ret_end)
{
	struct wire_header header;
	enum wire_type type = 0;
	enum wire_result result;
	uint32_t body_bytes = 0;
	bool end = false;

	TRY(err_wrap(tls_read(channel->tls, &header, sizeof header, ret_end ? &end : NULL), "%s",
		     channel->other_end));
	if (end) {
		*ret_end = true;
		return NULL;
	}
	result = wire_decode_header(&header, &type, &body_bytes);
	if (result)
		return broken(channel, wire_type_name(header.type), wire_result_name(result));
	if (!((allowed | CHANNEL_TYPE(WIRE_REFUSED)) & CHANNEL_TYPE(type)))
		return broken(channel, wire_type_name(type), "it is not its time");
	TRY(make_room(channel, body_bytes));
	TRY(err_wrap(tls_read(channel->tls, channel->in, body_bytes, NULL), "%s", channel->other_end));
	channel->received_bytes += sizeof header + body_bytes;
	result = wire_decode(type, channel->in, body_bytes, ret_message);
	if (result)
		return broken(channel, wire_type_name(type), wire_result_name(result));
	return type == WIRE_REFUSED ? be_refused(channel, &ret_message->refused) : NULL;
}

bool channel_has_input(struct channel *channel)
{
	return tls_has_input(channel->tls);
}

/* What may be in a REFUSED. */
static char *make_text(const char *from)
{
	char *text = xstrdup(from ?: "");

	if (strlen(text) > WIRE_MAX_TEXT_BYTES)
		text[WIRE_MAX_TEXT_BYTES] = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return text;
}

void channel_refuse(struct channel *channel, enum wire_reason reason, const struct err *err)
{
	CLEANUP_FREE char *text = make_text(err_message(err)), *advice = make_text(err_advice(err));
	const struct message message = {
		.type = WIRE_REFUSED,
		.refused = {reason, text, strlen(text), advice, strlen(advice)},
	};

	if (channel->has_refused)
		return;
	channel->has_refused = true;
	err_free(channel_send(channel, &message));
	err_free(channel_close(channel));
}

void channel_linger(struct channel *channel)
{
	tls_linger(channel->tls, LINGER_NS);
}

struct err *channel_close(struct channel *channel)
{
	return err_wrap(tls_close(channel->tls), "%s", channel->other_end);
}

void channel_interrupt(struct channel *channel)
{
	tls_interrupt(channel->tls);
}

void channel_end_receiving(struct channel *channel)
{
	tls_end_reads(channel->tls);
}

uint64_t channel_sent_bytes(const struct channel *channel)
{
	return channel->sent_bytes;
}

uint64_t channel_received_bytes(const struct channel *channel)
{
	return channel->received_bytes;
}
