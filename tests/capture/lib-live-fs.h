/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File systems on a tracked disk, and processes that write to them in every way. */
#ifndef TESTS_CAPTURE_LIB_LIVE_FS_H
#define TESTS_CAPTURE_LIB_LIVE_FS_H

#include <sys/types.h>

#include "tests/base/lib-rng.h"
#include "tests/capture/lib-track.h"

#define LIVE_FS_KINDS 3
#define LIVE_FS_DISK_BYTES (320u << 20) /* XFS wants 300 MiB */
#define LIVE_WRITERS 3

struct live_fs_kind {
	const char *name;
	const char *mkfs[6]; /* the device follows */
	const char *options; /* to mount it with */
	const char *check; /* a shell command that is content with $0, which has been mounted once */
};
extern const struct live_fs_kind live_fs_kinds[LIVE_FS_KINDS];

void live_fs_make(const struct track_rig *rig, size_t kind);

/* They write until they are killed. */
void live_fs_start_writers(const char *folder, struct rng *rng, pid_t ret_pids[LIVE_WRITERS]);
void live_fs_kill_writers(const pid_t pids[LIVE_WRITERS]);

#endif
