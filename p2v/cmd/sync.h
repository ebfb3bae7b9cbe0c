/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `p2v receive`, `p2v send` and `p2v status` share: connections, keys, where copies live. */
#ifndef P2V_CMD_SYNC_H
#define P2V_CMD_SYNC_H

#include "p2v/base/strv.h"
#include "p2v/cmd/cmd.h"
#include "p2v/sync/address.h"
#include "p2v/sync/key.h"
#include "p2v/sync/receiver.h"

#define SYNC_DISK_FILE "disk%zu.vhdx" /* a copy, by its number, in its job's folder */
#define SYNC_MACHINE_FILE "machine.json" /* what the sender has told */

/* Sockets that notice when the other end is gone. */
struct err *sync_connect(const struct sync_address *address, int *ret_fd) ERR_MUST_CHECK;
struct err *sync_listen(const struct sync_address *address, int *ret_fd) ERR_MUST_CHECK;
void sync_tune_socket(int fd);

/* Copies as VHDX files, for struct receiver_options; the log must live as long. */
struct receiver_store sync_vhdx_store(const struct log *log);

/* This machine's name as that of a job; the caller frees it. */
char *sync_machine_name(void);

/* Ctrl-C ends either side at any moment; the words of other verbs would not fit. */
void sync_tell_of_interruptions(void);

/* The key must not reach a core file by way of a copy that a library has made. */
void sync_forbid_core_files(void);

/* Asks for a pairing key on the terminal, without an echo. */
struct err *sync_ask_key(struct key **ret_key) ERR_MUST_CHECK;

#endif
