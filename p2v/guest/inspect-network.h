/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ways in which a guest's network is configured: one reader each, all adding to one list. */
#ifndef P2V_GUEST_INSPECT_NETWORK_H
#define P2V_GUEST_INSPECT_NETWORK_H

#include "p2v/guest/inspect-impl.h"

/* The interface of that name, made if it is new; `defined_in` counts only then. */
struct guest_interface *network_interface(struct inspection *inspection, const char *name,
					  const char *defined_in);

/* Sets the MAC if the text is one and none is known yet. */
void network_set_mac(struct guest_interface *interface, const char *mac);

/* "192.0.2.7/24", or an address and its netmask ("255.255.255.0", "24", NULL).  What is no address is
 * passed over. */
void network_add_address(struct guest_interface *interface, const char *address, const char *netmask);

/* Lower case with colons; NULL if the text is no Ethernet address.  The caller frees it. */
char *network_parse_mac(const char *text);

struct err *network_read_ifupdown(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *network_read_netplan(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *network_read_networkd(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *network_read_networkmanager(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *network_read_ifcfg(const struct inspect_context *context) ERR_MUST_CHECK;

/* Names that udev rules and .link files give to MACs. */
struct err *network_read_udev(const struct inspect_context *context) ERR_MUST_CHECK;

#endif
