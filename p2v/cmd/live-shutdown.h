/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server that is shut down by its own means, while its sender lives on until its file systems are
 * unmounted.
 *
 * When systemd has stopped everything and unmounted what it can it makes /run/initramfs the root, if there is
 * a program "shutdown" there, and becomes that program (systemd-shutdown(8)): which is us once more, as
 * process 1.  That unmounts the rest, waits for the sender to end, and ends the machine: off, if the sender
 * has decided so, and else started again.  The order is to restart: so whatever fails, up to the decision,
 * ends in the server as it was.
 *
 * Processes that are called "@…" systemd spares (systemd.io, ROOT_STORAGE_DAEMONS).
 */
#ifndef P2V_CMD_LIVE_SHUTDOWN_H
#define P2V_CMD_LIVE_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/log.h"

/* ERR_REFUSED: this machine, or this program, cannot do that. */
struct err *live_shutdown_check(void) ERR_MUST_CHECK;

struct live_shutdown;
/* Makes ready what the machine is to end with, and remembers its network.  limit_ns: from the order on to the
 * decision. */
struct err *live_shutdown_create(uint64_t limit_ns, const struct log *log,
				 struct live_shutdown **ret_shutdown) ERR_MUST_CHECK;
/* Takes away what was made ready, unless it was ordered.  Takes NULL. */
void live_shutdown_destroy(struct live_shutdown *shutdown);

/* From here on the machine ends.  Messages go to its console: standard output and error lead there.  An
 * error: nothing has happened. */
struct err *live_shutdown_order(struct live_shutdown *shutdown) ERR_MUST_CHECK;
/* Waits until everything is stopped and unmounted, as far as that can be, and keeps the network up meanwhile.
 */
struct err *live_shutdown_wait(struct live_shutdown *shutdown) ERR_MUST_CHECK;
uint64_t live_shutdown_left_ns(const struct live_shutdown *shutdown); /* until the limit; 0: it is over */
/* The machine goes off, and does not start by itself, when we end.  An error: it starts again. */
struct err *live_shutdown_decide(struct live_shutdown *shutdown) ERR_MUST_CHECK;

/* Whether we are that process 1; what it does: it does not return. */
bool live_shutdown_is_last(const char *program);
__attribute__((noreturn)) void live_shutdown_be_last(const char *verb);

DEFINE_CLEANUP(live_shutdown, struct live_shutdown *, live_shutdown_destroy)
#define CLEANUP_LIVE_SHUTDOWN CLEANUP(cleanup_live_shutdown)

#endif
