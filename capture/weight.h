/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The share of disks and processors that the kernel gives to us beside the rest of a server: the weights of
 * our cgroup (Documentation/admin-guide/cgroup-v2.rst), where there is one that is ours alone.
 */
#ifndef CAPTURE_WEIGHT_H
#define CAPTURE_WEIGHT_H

#include "p2v/base/log.h"

struct weight;
/* Finds it, below a prefix ("" is this machine); where there is none to be changed the log says why. */
struct weight *weight_create(const char *sysroot, const struct log *log);
/* Restores them; takes NULL. */
void weight_destroy(struct weight *weight);
/* Little, while the server works. */
void weight_lower(struct weight *weight);
/* As they were. */
void weight_restore(struct weight *weight);

#endif
