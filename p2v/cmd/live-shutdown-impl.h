/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the sender (live-shutdown.c) and process 1 (live-shutdown-last.c) speak: by names in the folder that
 * systemd makes the root, which is "/" for both by then.  What there is to say are links to nowhere, as a
 * link is made at once with its content, and once only.
 */
#ifndef P2V_CMD_LIVE_SHUTDOWN_IMPL_H
#define P2V_CMD_LIVE_SHUTDOWN_IMPL_H

#define SHUTDOWN_FOLDER "/run/initramfs"
#define SHUTDOWN_PROGRAM "shutdown" /* as systemd wants it */
#define SHUTDOWN_SENDER "p2v-sender" /* a file, locked as long as the sender lives */
#define SHUTDOWN_LIMIT                                                                      \
	"p2v-limit" /* when process 1 decides if nobody else has: ns of the monotonic clock \
		     */
#define SHUTDOWN_AT_REST "p2v-at-rest" /* process 1 is done with what it could unmount */
#define SHUTDOWN_DECISION "p2v-decision" /* one of: */
#define SHUTDOWN_OFF "off" /* the sender's */
#define SHUTDOWN_AGAIN "again" /* process 1's */

#endif
