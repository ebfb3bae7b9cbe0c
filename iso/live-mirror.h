/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One terminal on all of a machine's consoles: a program runs on a pseudo
 * terminal of 80x24, what it writes goes to every console, and what is typed at
 * any of them goes to it.
 */
#ifndef ISO_LIVE_MIRROR_H
#define ISO_LIVE_MIRROR_H

#include "p2v/base/err.h"
#include "p2v/base/log.h"
#include "p2v/base/strv.h"

#define LIVE_COLUMNS 80
#define LIVE_ROWS 24

/* The devices behind the kernel's consoles: "/dev/tty1" (for tty0), "/dev/ttyS0". */
void live_mirror_find_consoles(struct strv *ret_consoles);

/*
 * Runs argv on the terminal, and again a second after it ended, for ever; a console that cannot be opened, or
 * goes away, is tried again every few seconds.  Returns only if there can be no terminal, or, with `once`,
 * when the program has ended.
 */
struct err *live_mirror_run(const char *const *argv, const struct strv *consoles, bool once,
			    const struct log *log) ERR_MUST_CHECK;

#endif
