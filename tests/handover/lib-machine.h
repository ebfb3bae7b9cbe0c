/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Machines for the tests of p2v/handover and p2v/prove. */
#ifndef TESTS_HANDOVER_LIB_MACHINE_H
#define TESTS_HANDOVER_LIB_MACHINE_H

#include "p2v/base/machine.h"

/* A server of one 20 GiB disk and one NIC ("enp0s2", 52:54:00:12:34:56, 192.0.2.10/24), 4 processors,
 * 4 GiB; Secure Boot unknown.  For machine_deinit(). */
void make_machine(const char *name, enum firmware firmware, struct machine *ret_machine);

#endif
