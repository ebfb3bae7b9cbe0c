/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The network of this machine as it is now, to be set up again when others have taken it down.
 *
 * Remembered are interfaces that are up, addresses, and routes: not interfaces themselves.  One that is made
 * by software, and removed (a bond, a VLAN, a bridge), does not come back.
 */
#ifndef CAPTURE_NETKEEP_H
#define CAPTURE_NETKEEP_H

#include "p2v/base/err.h"

struct netkeep;

struct err *netkeep_remember(struct netkeep **ret_netkeep) ERR_MUST_CHECK;
void netkeep_destroy(struct netkeep *netkeep); /* takes NULL */

/* Sets up what is missing; how many addresses and routes that were.  What cannot be is left: what stood in
 * its way may be gone the next time. */
unsigned netkeep_restore(struct netkeep *netkeep);

DEFINE_CLEANUP(netkeep, struct netkeep *, netkeep_destroy)
#define CLEANUP_NETKEEP CLEANUP(cleanup_netkeep)

#endif
