/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/address.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/sync/wire.h"

static struct err *bad_address(const char *text)
{
	return err_advise(err_usage("'%s' is no address", text), "say for example host, host:%u or [::1]:%u",
			  WIRE_PORT, WIRE_PORT);
}

struct err *sync_address_parse(const char *text, struct sync_address *ret_address)
{
	const char *host = text, *end, *port = NULL;

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return bad_address(text);
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(text, ':');
		if (end && strchr(end + 1, ':'))
			end = NULL; /* an IPv6 address without brackets */
		port = end ? end + 1 : NULL;
		end = end ?: text + strlen(text);
	}
	if (port && (!*port || strspn(port, "0123456789") != strlen(port) || atol(port) > 65535))
		return bad_address(text);
	ret_address->host = end > host ? xstrndup(host, end - host) : NULL;
	ret_address->port = port ? xstrdup(port) : xasprintf("%u", WIRE_PORT);
	return NULL;
}

void sync_address_deinit(struct sync_address *address)
{
	free(address->host);
	free(address->port);
}
