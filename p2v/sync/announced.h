/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a receiver remembers of the machines that have announced themselves
 * (wire.h, 7), for whoever wants to see it: a folder each, named by the machine's
 * id, in .machines below the receiver's folder.  No job is called so.
 *
 *	announced.json    the machine, replaced as a whole when something changes; its time of change is
 *	                  when the machine was last heard of
 *	support.tar.zst   the last bundle that it has brought
 *	support.1.tar.zst the one before
 *
 * Nothing of it is needed to receive, so that all of it may be removed at any time.
 */
#ifndef P2V_SYNC_ANNOUNCED_H
#define P2V_SYNC_ANNOUNCED_H

#include <stdbool.h>
#include <time.h>

#include "p2v/base/err.h"
#include "p2v/sync/codec.h"

#define ANNOUNCED_BUNDLE_FILE "support.tar.zst"
#define ANNOUNCED_OLDER_BUNDLE_FILE "support.1.tar.zst"
#define ANNOUNCED_ID_BYTES (2 * WIRE_MACHINE_ID_BYTES + 1) /* hexadecimal, with the NUL */

struct announced {
	char id[ANNOUNCED_ID_BYTES];
	char *texts[WIRE_ANNOUNCE_TEXTS];
	char *peer; /* where the connection comes from */
	enum wire_phase phase;
	bool is_connected; /* when it was saved */
	time_t booted, phase_since, last_heard;
};
void announced_deinit(struct announced *machine);
#define CLEANUP_ANNOUNCED CLEANUP(announced_deinit)

void announced_format_id(const uint8_t id[WIRE_MACHINE_ID_BYTES], char ret_text[ANNOUNCED_ID_BYTES]);
/* The machine's folder; the caller frees it. */
char *announced_folder(const char *dir, const char *id);

/* Makes the folder, too. */
struct err *announced_save(const char *dir, const struct announced *machine) ERR_MUST_CHECK;
/* It was heard of, just now; err_errno() is ENOENT if it is not known. */
struct err *announced_touch(const char *dir, const char *id) ERR_MUST_CHECK;
/* err_errno() is ENOENT if it is not known.  ret_machine must be zero-initialised. */
struct err *announced_load(const char *dir, const char *id, struct announced *ret_machine) ERR_MUST_CHECK;
/* With all of its bundles. */
void announced_forget(const char *dir, const char *id);

/* An id of a machine that is remembered, and when it was heard of; 0: never quite. */
struct announced_entry {
	char id[ANNOUNCED_ID_BYTES];
	time_t last_heard;
};
/* All of them, without reading more than the time; the caller frees the array.  None is no error. */
struct err *announced_list(const char *dir, struct announced_entry **ret_entries, size_t *ret_count)
	ERR_MUST_CHECK;

/* Whether it is there as far as can be known now: a receiver that was killed has saved no farewell. */
bool announced_is_here(const struct announced *machine, time_t now);

#endif
