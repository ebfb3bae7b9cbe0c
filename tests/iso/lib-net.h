/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A network for tests: this process alone in a network namespace with "eth0" and "eth1", whose other ends,
 * "far0" and "far1", are in a namespace of their own.
 */
#ifndef TESTS_ISO_LIB_NET_H
#define TESTS_ISO_LIB_NET_H

#include <stdbool.h>

/* False, having said why, where namespaces cannot be made.  Our own namespaces last as long as the process.
 */
bool net_begin(const char *folder);
void net_end(void);

/* A command of words divided by blanks, here or at the other end; it must succeed. */
void net_here(const char *command);
void net_there(const char *command);

/* A DHCP server on that interface at the other end: 192.0.2.1/24 gives 192.0.2.50 to .59, router and DNS. */
void net_serve_dhcp(const char *interface);

#endif
