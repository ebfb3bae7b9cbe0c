/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The topics of an inspection: one file each, all called by inspect.c. */
#ifndef P2V_GUEST_INSPECT_IMPL_H
#define P2V_GUEST_INSPECT_IMPL_H

#include "p2v/guest/inspect.h"

/* What every topic works on. */
struct inspect_context {
	struct guest *guest;
	const struct log *log;
	struct inspection *inspection;
};

struct err *inspect_os(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *inspect_kernels(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *inspect_boot(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *inspect_network(const struct inspect_context *context) ERR_MUST_CHECK;
struct err *inspect_leftovers(const struct inspect_context *context) ERR_MUST_CHECK;

/* Which disk a kernel name meant, from what fstab and boot configuration say of it. */
struct err *inspect_disk_names(const struct inspect_context *context) ERR_MUST_CHECK;

/* What the guest calls its arrays; and the array it calls so, NULL if that is none, or not certain.  The only
 * array there is answers to every name. */
struct err *inspect_array_names(const struct inspect_context *context) ERR_MUST_CHECK;
const struct guest_volume *inspect_find_array(const struct inspection *inspection, const char *device);

/* True if something is at path, links followed. */
struct err *inspect_exists(struct guest *guest, const char *path, bool *ret_exists) ERR_MUST_CHECK;

/* The first of the paths (NULL-ended) that exists, NULL if none does. */
struct err *inspect_find_first(struct guest *guest, const char *const *paths, const char **ret_path)
	ERR_MUST_CHECK;

/* Calls fn for every file in dir whose name has the suffix, in the order of names, with its content.  A file
 * that cannot be read as text is passed over. */
typedef struct err *(*inspect_file_fn)(void *arg, const char *path, const char *content);
struct err *inspect_each_file(struct guest *guest, const char *dir, const char *suffix, inspect_file_fn fn,
			      void *arg) ERR_MUST_CHECK;

#endif
