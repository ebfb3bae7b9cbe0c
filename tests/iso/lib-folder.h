/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder for a whole test program: set up and torn down with its group of tests. */
#ifndef TESTS_ISO_LIB_FOLDER_H
#define TESTS_ISO_LIB_FOLDER_H

#include "p2v/base/scratch.h"

extern struct scratch *folder;

int make_folder(void **state);
int remove_folder(void **state);

#endif
