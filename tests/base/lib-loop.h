/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Block devices over files, by losetup(8). */
#ifndef TESTS_BASE_LIB_LOOP_H
#define TESTS_BASE_LIB_LOOP_H

/* "/dev/loop3"; NULL where there are none: no root, no kernel support. */
char *loop_make(const char *file);
/* Detaches it, and frees the name.  Takes NULL. */
void loop_remove(char *device);

#endif
