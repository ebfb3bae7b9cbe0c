/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v scan does, by what is named. */
#ifndef P2V_CMD_SCAN_H
#define P2V_CMD_SCAN_H

#include <stdbool.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

/* Zeros mean that the option was not given. */
struct scan_options {
	const char *sysroot; /* below it are /sys, /proc, … of the machine */
	unsigned targets; /* of a conversion, as targets_parse() gives them */
	bool json;
	bool used; /* also how much of each disk holds data */
	unsigned verbose;
};

/*
 * Prints what this machine is, and what a capture takes of it.  A disk that cannot be read does not keep the
 * others from being told; the error counts such disks.
 */
struct err *scan_machine(const struct scan_options *options) ERR_MUST_CHECK;

/* Prints what the disks of one machine hold, and what a conversion of them would meet. */
struct err *scan_images(const struct strv *sources, const struct scan_options *options) ERR_MUST_CHECK;

#endif
