/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LVM2's text form of metadata (lvm2: libdm/libdm-config.c): sections in
 * braces, and names with a number, a string or a list as their value.
 */
#ifndef CAPTURE_LVM_TEXT_H
#define CAPTURE_LVM_TEXT_H

#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

struct lvm_node {
	char *name;
	struct strv values; /* of a value or list, strings without their quotes; empty for a section */
	struct lvm_node *children; /* of a section */
	size_t child_count, child_capacity;
};

/* The caller destroys the root, a section without a name.  ERR_REFUSED names the place that makes no sense.
 */
struct err *lvm_text_parse(const char *text, size_t bytes, struct lvm_node **ret_root) ERR_MUST_CHECK;
void lvm_node_destroy(struct lvm_node *root); /* takes NULL */
DEFINE_CLEANUP(lvm_node, struct lvm_node *, lvm_node_destroy)
#define CLEANUP_LVM_NODE CLEANUP(cleanup_lvm_node)

/* The member of that name, NULL if there is none. */
const struct lvm_node *lvm_node_find(const struct lvm_node *section, const char *name);
/* Its single value, NULL if there is none. */
const char *lvm_node_text(const struct lvm_node *section, const char *name);
/* Its single value as a number. */
struct err *lvm_node_number(const struct lvm_node *section, const char *name, uint64_t *ret_number)
	ERR_MUST_CHECK;
struct err *lvm_number(const char *text, uint64_t *ret_number) ERR_MUST_CHECK;

#endif
