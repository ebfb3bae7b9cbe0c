/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a plan, shared by plan.c (making it), plan-view.c, plan-report.c and plan-apply.c. */
#ifndef P2V_GUEST_PLAN_IMPL_H
#define P2V_GUEST_PLAN_IMPL_H

#include "p2v/guest/guest-impl.h"
#include "p2v/guest/plan.h"

enum change_action { CHANGE_WRITE, CHANGE_UPLOAD, CHANGE_SYMLINK, CHANGE_REMOVE };

/* What is at a path, before or after a change. */
struct change_side {
	struct guest_stat stat;
	char *data; /* of a file whose content is held in memory */
	size_t bytes;
	char *target; /* of a symbolic link */
	char sha256[GUEST_SHA256_TEXT_BYTES]; /* of a file */
};

struct change {
	const char *author;
	enum change_action action;
	char *path; /* resolved: no symbolic link in it that was there when it was planned */
	char *reason;
	char *host_file; /* CHANGE_UPLOAD */
	char *backup_path; /* resolved; NULL if nothing is kept */
	struct change_side before;
	struct change_side after;
};

struct finding {
	const char *author;
	enum finding_severity severity;
	char *text;
};

struct plan {
	struct guest *guest;
	const char *author;
	struct change *changes; /* in the order they were planned */
	size_t change_count;
	size_t change_capacity;
	struct finding *findings;
	size_t finding_count;
	size_t finding_capacity;
	struct strv host_files; /* ours to remove */
};

/* path with the symbolic links of the view resolved; the caller frees it. */
struct err *plan_resolve(struct plan *plan, const char *path, unsigned guest_flags, char **ret_path)
	ERR_MUST_CHECK;

/* As plan_read() and plan_stat(), for a resolved path whose last component is not followed. */
struct err *plan_read_resolved(struct plan *plan, const char *path, char **ret_data, size_t *ret_bytes)
	ERR_MUST_CHECK;
struct err *plan_lstat_resolved(struct plan *plan, const char *path, struct guest_stat *ret_stat)
	ERR_MUST_CHECK;
struct err *plan_readlink_resolved(struct plan *plan, const char *path, char **ret_target) ERR_MUST_CHECK;
struct err *plan_sha256_resolved(struct plan *plan, const char *path, char ret_hex[GUEST_SHA256_TEXT_BYTES])
	ERR_MUST_CHECK;

/* True if the bytes are UTF-8 text without control characters other than white space: what a diff, and a
 * JSON string, can carry without loss. */
bool plan_is_text(const char *data, size_t bytes);

#endif
