/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether hardware virtualisation really helps here: /dev/kvm can exist, open,
 * and still run a guest slower than emulation does, or not at all.
 */
#ifndef P2V_GUEST_KVM_H
#define P2V_GUEST_KVM_H

#include <stdbool.h>

#include "p2v/base/log.h"

/* Boots a 512-byte disk of ours emulated and under KVM, and compares; scratch_dir takes that disk.
 * Takes well under a second where KVM works, two where it does not, and nothing for an hour after that: the
 * answer is kept in the user's cache folder.  False also without QEMU. */
bool kvm_works(const char *scratch_dir, const struct log *log);

#endif
