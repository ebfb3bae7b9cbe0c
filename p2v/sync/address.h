/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a receiver is, as people type it. */
#ifndef P2V_SYNC_ADDRESS_H
#define P2V_SYNC_ADDRESS_H

#include "p2v/base/err.h"

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT", ":PORT"; without a port WIRE_PORT.  NULL for no host. */
struct sync_address {
	char *host;
	char *port;
};

/* Whether there is such a host is not asked.  ERR_USAGE if the text is no address. */
struct err *sync_address_parse(const char *text, struct sync_address *ret_address) ERR_MUST_CHECK;
void sync_address_deinit(struct sync_address *address);

#endif
