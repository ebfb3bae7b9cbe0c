/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether hardware virtualisation really works here: /dev/kvm can exist, open,
 * and still run no instruction.
 */
#ifndef P2V_GUEST_KVM_H
#define P2V_GUEST_KVM_H

#include <stdbool.h>

#include "p2v/base/log.h"

/* Boots a 512-byte disk of ours under KVM, for a few seconds at most; scratch_dir takes that disk.
 * False also where QEMU is missing.  Costs less than a second where KVM works. */
bool kvm_works(const char *scratch_dir, const struct log *log);

#endif
