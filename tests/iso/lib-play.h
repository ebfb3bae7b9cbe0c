/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The interface on a screen, of a recorded machine with two disks and a stick, in a network of its own, with
 * a receiver there.
 */
#ifndef TESTS_ISO_LIB_PLAY_H
#define TESTS_ISO_LIB_PLAY_H

#include "tests/iso/lib-screen.h"

struct play;

/* To be called first in main(): true, and the exit code, if this process is the interface. */
bool play_is_interface(int argc, char **argv, int *ret_status);

/* NULL, having said why, where it cannot be played.  conf is what /etc/p2v.conf holds, "%s" in it the
 * receiver's key.  device: this machine itself, of which that is one, is shown, and its network is left
 * alone. */
struct play *play_begin(const char *conf, const char *device);
void play_end(struct play *play); /* takes NULL */

void play_kill_receiver(struct play *play);
void play_start_receiver(struct play *play);

struct screen *play_screen(const struct play *play);
const char *play_key(const struct play *play); /* as the receiver shows it */
const char *play_folder(
	const struct play *play); /* its own; the receiver's jobs are in "jobs", live's in "run" */

#endif
