/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Takes the tracker's programs in the kernel off their events, and puts them back: a planted loss. */
#ifndef TESTS_CAPTURE_LIB_UNHOOK_H
#define TESTS_CAPTURE_LIB_UNHOOK_H

struct unhooked {
	int link_fd, program_fd;
	const char *event; /* a classic trace point; NULL: a raw one */
};

/* Of this process's programs, the one with that name. */
struct unhooked unhook(const char *program);
void hook_again(struct unhooked unhooked);

#endif
