/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The few words of QEMU's monitor protocol (QMP) that a proof needs. */
#ifndef P2V_PROVE_QMP_H
#define P2V_PROVE_QMP_H

#include "p2v/base/json.h"

struct qmp;

/* Connects to the monitor's Unix socket, trying again until QEMU has made it, and leaves negotiation mode. */
struct err *qmp_connect(const char *socket_path, uint64_t limit_ns, struct qmp **ret_qmp) ERR_MUST_CHECK;

/* Runs a command; arguments may be NULL and are taken over.  What QEMU says against it is the error. */
struct err *qmp_run(struct qmp *qmp, const char *command, json_t *arguments, uint64_t limit_ns)
	ERR_MUST_CHECK;

/* Takes in what has arrived and hands over the next event ("RESET", "SHUTDOWN", …), NULL if there is none;
 * the caller's reference. */
json_t *qmp_next_event(struct qmp *qmp);

void qmp_destroy(struct qmp *qmp); /* takes NULL */

DEFINE_CLEANUP(qmp, struct qmp *, qmp_destroy)
#define CLEANUP_QMP CLEANUP(cleanup_qmp)

#endif
