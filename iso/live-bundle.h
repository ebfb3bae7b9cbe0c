/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The support bundle: what somebody who was not there wants to know, in one
 * file, NAME.tar.zst.  The pairing key is not in it, nor what is on disks.
 */
#ifndef ISO_LIVE_BUNDLE_H
#define ISO_LIVE_BUNDLE_H

#include "iso/live-state.h"

/* Makes it in run_dir; *ret_path is the caller's. */
struct err *live_bundle_make(const struct live_state *state, char **ret_path) ERR_MUST_CHECK;

/* Replaces what follows key= in a text, up to the next blank, by stars; in place. */
void live_bundle_hide_key(char *text);

#endif
