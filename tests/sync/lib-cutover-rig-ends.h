/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ends of a cutover and the line between them have in common: for lib-cutover-rig*.c alone. */
#ifndef TESTS_SYNC_LIB_CUTOVER_RIG_ENDS_H
#define TESTS_SYNC_LIB_CUTOVER_RIG_ENDS_H

#include "p2v/sync/key.h"
#include "tests/sync/lib-cutover-rig.h"

/* In the folder of the rig, which is the receiver's, too. */
#define CUTOVER_KEY_FILE ".pairing-key"
#define CUTOVER_FACTS_FILE ".facts"
#define CUTOVER_SENDER_SOCKET ".sender" /* where the sender connects to */
#define CUTOVER_RECEIVER_SOCKET ".receiver"

/* Makes the memory, with these facts in it, or, with NULL, opens it. */
struct cutover_facts *cutover_share_facts(const char *dir, const struct cutover_facts *facts);
int cutover_listen(const char *dir, const char *name);
int cutover_connect(const char *dir, const char *name); /* -1: nobody is there */

#endif
