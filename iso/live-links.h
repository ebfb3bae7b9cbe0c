/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the network of this machine is now, whoever has set it up. */
#ifndef ISO_LIVE_LINKS_H
#define ISO_LIVE_LINKS_H

#include <stdbool.h>

#include "p2v/base/strv.h"

struct live_link {
	char *name, *mac, *driver; /* driver: NULL if it is not hardware */
	bool has_carrier;
	bool is_plain; /* an interface of its own, not a bond, VLAN or the like */
	unsigned mbit_per_second; /* 0: unknown */
	struct strv addresses; /* "192.0.2.7/24"; link-local ones are left out */
};

struct live_links {
	struct live_link *links; /* by name; without lo */
	size_t count, capacity;
	char *gateway; /* of the default route; NULL: none */
	struct strv dns;
};

void live_links_look(const char *resolv_conf, struct live_links *ret_links);
void live_links_deinit(struct live_links *links);
#define CLEANUP_LIVE_LINKS CLEANUP(live_links_deinit)

bool live_links_have_address(const struct live_links *links);

/* By name or MAC address; NULL if there is none. */
const struct live_link *live_links_find(const struct live_links *links, const char *name_or_mac);

#endif
