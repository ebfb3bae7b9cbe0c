/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key as a file, for a child: in memory, for its owner alone, and for no longer than it is needed. */
#ifndef ISO_LIVE_KEY_FILE_H
#define ISO_LIVE_KEY_FILE_H

#include "p2v/sync/key.h"

struct err *live_key_file_write(const char *path, const struct key *key) ERR_MUST_CHECK;
void live_key_file_remove(const char *path);

#endif
