/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/greeting.h"

#include <string.h>

#define NS_PER_SECOND 1000000000ull

static struct err *exchange(const struct greeting *greeting, struct channel *channel, struct message *message)
{
	struct message hello = {
		.type = WIRE_HELLO,
		.hello = {WIRE_OLDEST_VERSION, WIRE_VERSION, greeting->purpose, {0}},
	};
	unsigned version;

	if (greeting->token)
		memcpy(hello.hello.token, greeting->token, WIRE_TOKEN_BYTES);
	TRY(channel_send(channel, &hello));
	TRY(channel_receive(channel, CHANNEL_TYPE(WIRE_WELCOME), message, NULL));
	version = message->welcome.version;
	if (version < WIRE_OLDEST_VERSION || version > WIRE_VERSION)
		return err_advise(
			err_refused("the receiver speaks version %u of the protocol, we speak %u to %u",
				    version, WIRE_OLDEST_VERSION, WIRE_VERSION),
			"use the same version of p2v at both ends");
	return NULL;
}

struct err *greet_receiver(const struct greeting *greeting, struct message *message,
			   struct channel **ret_channel)
{
	uint64_t limit_ns = greeting->silence_limit_ns ?: WIRE_SILENCE_SECONDS * NS_PER_SECOND;
	CLEANUP_CHANNEL struct channel *channel = NULL;
	CLEANUP_FD int fd = -1;
	struct tls *tls;

	TRY(greeting->connect(greeting->connect_arg, &fd));
	TRY(err_wrap(tls_connect(greeting->key, fd, fd, limit_ns, &tls), "the receiver"));
	(void)take_fd(&fd);
	TRY(channel_create(tls, "the receiver", &channel));
	channel_set_limits(channel, limit_ns, limit_ns);
	TRY(exchange(greeting, channel, message));
	*ret_channel = take_ptr(channel);
	return NULL;
}
