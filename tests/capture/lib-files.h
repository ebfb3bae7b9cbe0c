/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of files whose content follows from their names, so that it can be checked later without a list.
 */
#ifndef TESTS_CAPTURE_LIB_FILES_H
#define TESTS_CAPTURE_LIB_FILES_H

#include <stdbool.h>

/* Makes files of many sizes until about `mib` are written, in folders; then removes every fifth one. */
void files_make(const char *folder, unsigned mib);

/* True if exactly what files_make() left is there, with its content. */
bool files_are_there(const char *folder, unsigned mib);

/* The folders that it makes are d0, d1, …, this many. */
#define FILES_FOLDERS 7

#endif
