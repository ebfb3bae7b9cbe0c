/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs of p2v receive as sources: a folder with job.json in it. */
#ifndef P2V_CMD_RECEIVED_H
#define P2V_CMD_RECEIVED_H

#include <stdbool.h>

#include "p2v/base/json.h"
#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/base/strv.h"

bool received_is_job(const char *folder);

/* Completes a job that is held, as its sender has not; one that is complete stays as it is.  ERR_REFUSED if
 * it is neither. */
struct err *received_take_held(const char *folder, const struct log *log) ERR_MUST_CHECK;

/* The files of a complete job's disks, in order; ERR_REFUSED if it is not complete. */
struct err *received_list_disks(const char *folder, struct strv *ret_files) ERR_MUST_CHECK;

/* What the sender told of the machine; err_errno() is ENOENT if nothing.  ret_machine must be
 * zero-initialised, ret_json may be NULL. */
struct err *received_read_machine(const char *folder, json_t **ret_json, struct machine *ret_machine)
	ERR_MUST_CHECK;

/* What the machine itself told goes into what was found on its disks, where that is silent. */
void received_complete_machine(struct machine *machine, const struct machine *told);

#endif
