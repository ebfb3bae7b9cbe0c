/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Takes from the tracker what it has in the kernel, a planted loss: programs off their events, and maps. */
#ifndef TESTS_CAPTURE_LIB_UNHOOK_H
#define TESTS_CAPTURE_LIB_UNHOOK_H

struct unhooked {
	int link_fd, program_fd;
	const char *event; /* a classic trace point; NULL: a raw one */
};

/* Of this process's programs, the one with that name. */
struct unhooked unhook(const char *program);
void hook_again(struct unhooked unhooked);

/* Of this process's maps, the one with that name cannot be read any more. */
void lose_map(const char *name);

#endif
