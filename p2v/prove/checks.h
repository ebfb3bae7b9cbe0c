/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a report is held against. */
#ifndef P2V_PROVE_CHECKS_H
#define P2V_PROVE_CHECKS_H

#include "p2v/prove/hardware.h"
#include "p2v/prove/prove.h"

/* Adds the checks of proof->report to the proof.  ignored_units may be NULL. */
void checks_run(const struct machine *machine, const struct vm *vm, const struct hardware *hardware,
		const struct strv *ignored_units, struct proof *proof);

/* True if both mean the same address and prefix length, however they are written; without a prefix
 * ("192.0.2.7") any is meant. */
bool checks_same_address(const char *a, const char *b);

#endif
