/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What p2v and p2v-agent are: a name and a table of verbs. */
#ifndef P2V_CMD_PROGRAM_H
#define P2V_CMD_PROGRAM_H

#include "p2v/cmd/cmd.h"

struct program {
	const char *name;
	const char *summary; /* what it does: a verb in the third person, no full stop */
	const struct verb *verbs;
	size_t verb_count;
};

/* All that a main() does; returns the exit code. */
int program_run(const struct program *program, int argc, char **argv);

#endif
