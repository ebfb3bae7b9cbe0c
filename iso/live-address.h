/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses as people and boot loaders write them. */
#ifndef ISO_LIVE_ADDRESS_H
#define ISO_LIVE_ADDRESS_H

#include "iso/live-config.h"

/* ERR_USAGE unless it is an IPv4 or IPv6 address. */
struct err *live_address_check(const char *text) ERR_MUST_CHECK;

/* ERR_USAGE unless it is ADDRESS/BITS. */
struct err *live_address_check_network(const char *text) ERR_MUST_CHECK;

/*
 * What the kernel's ip= takes (Documentation/admin-guide/nfs/nfsroot.rst), which boot loaders write for us,
 * and ADDRESS/BITS.  Sets address, gateway, interface and dns as far as it tells them; on an error nothing.
 */
struct err *live_address_take_ip(struct live_network_config *network, const char *text) ERR_MUST_CHECK;

#endif
