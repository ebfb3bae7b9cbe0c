/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose the kernel's log of a disk's requests (blktrace) is.  It outlives who has set it up, and a disk has
 * but one: so ours is written down, and what a sender that was killed has left behind can be told from what
 * anybody else uses.
 */
#ifndef CAPTURE_TRACK_CLAIM_H
#define CAPTURE_TRACK_CLAIM_H

#include <stdbool.h>

/* Of the disk by its kernel name, when its log was set up; debugfs: the folder.  What cannot be written down
 * is not: then it is nobody's later. */
void track_claim_make(int debugfs, const char *disk);
/* True: its log was made by a process that claimed it, and has ended. */
bool track_claim_is_left(int debugfs, const char *disk);
void track_claim_remove(const char *disk);

#endif
