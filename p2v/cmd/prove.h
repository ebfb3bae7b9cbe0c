/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is proved, and on what: prove.c for the verb, prove-targets.c for the work, which a rehearsal wants,
 * too. */
#ifndef P2V_CMD_PROVE_H
#define P2V_CMD_PROVE_H

#include <stdbool.h>

#include "p2v/base/json.h"
#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/base/strv.h"

struct prove_command {
	const char *path;
	unsigned targets; /* 0: as the result says */
	enum firmware firmware;
	const char *screenshot;
	bool json;
	unsigned verbose;
	/* What is proved. */
	struct strv images; /* of disks, the one to boot from first */
	struct machine machine; /* of a result folder; empty for a bare image */
	struct strv drivers; /* of the first kernel */
	bool drivers_known;
};

/* Boots the images on the hardware of each target, in no network, and adds the proofs to the array; they are
 * printed, too, unless the command is for JSON.  The images are only read.  ERR_FAILED: what was booted is
 * not in order; the first reason. */
struct err *prove_targets(const struct prove_command *command, const struct log *log, json_t *proofs)
	ERR_MUST_CHECK;

#endif
