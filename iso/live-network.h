/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The network of a machine that was started from the ISO: there is no other
 * service that would set it up.
 *
 * It is done with iproute2's or busybox's ip and one busybox udhcpc an interface, which the kernel ends with
 * us.
 */
#ifndef ISO_LIVE_NETWORK_H
#define ISO_LIVE_NETWORK_H

#include "iso/live-config.h"
#include "p2v/base/log.h"

struct live_network_options {
	const char *run_dir; /* exists; for what is kept of DHCP */
	const char *resolv_conf; /* "/etc/resolv.conf" */
	const struct log *log;
};

struct live_network;

/*
 * Takes all interfaces up and gives them what the configuration wants.  With DHCP it does not wait for an
 * answer; with an address it waits a few seconds for a link if no interface is named, to choose one that has.
 * ERR_USAGE: an interface that is named is not there; ERR_FAILED: ip failed, and said why.  Configuration and
 * options' strings must live as long.
 */
struct err *live_network_start(const struct live_network_config *config,
			       const struct live_network_options *options, struct live_network **ret_network)
	ERR_MUST_CHECK;

/* To be called every few seconds: interfaces that have appeared get DHCP too, and clients that ended are
 * started again. */
void live_network_keep(struct live_network *network);

/* Takes away addresses, bond and VLAN again, and frees.  Takes NULL. */
void live_network_stop(struct live_network *network);

DEFINE_CLEANUP(live_network, struct live_network *, live_network_stop)
#define CLEANUP_LIVE_NETWORK CLEANUP(cleanup_live_network)

#endif
