/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every kind of guest must do, run over each of them. */
#ifndef TESTS_GUEST_LIB_CONFORMANCE_H
#define TESTS_GUEST_LIB_CONFORMANCE_H

#include "tests/guest/lib-tree.h"

/* The tree that the checks expect; NULL-ended. */
extern const struct tree_entry conformance_tree[];

/* host_dir: an empty folder. */
void conformance_check_reading(struct guest *guest);
void conformance_check_copying(struct guest *guest, const char *host_dir);
void conformance_check_writing(struct guest *guest, const char *host_dir);

#endif
