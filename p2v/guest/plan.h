/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is going to be changed in a guest, each change with its author and its
 * reason.  Fixes and injectors only compute plans; plan_apply() alone changes
 * the guest.  So a dry run is a real diff, the report lists every change, and
 * what was replaced can be put back.
 *
 * A plan is also a view: plan_read() gives a file as it will be, so that
 * several fixes can edit the same file.
 */
#ifndef P2V_GUEST_PLAN_H
#define P2V_GUEST_PLAN_H

#include <stdbool.h>

#include "p2v/base/json.h"
#include "p2v/base/log.h"
#include "p2v/guest/guest.h"

struct plan;

/* The guest must outlive the plan; it is only read until plan_apply(). */
struct plan *plan_create(struct guest *guest);
void plan_destroy(struct plan *plan); /* takes NULL */

/* Who makes the changes that follow: "boot-fix/fstab".  The string is kept by reference. */
void plan_set_author(struct plan *plan, const char *author);

/* As guest_read() and guest_stat() and guest_list(), with the changes planned so far. */
struct err *plan_read(struct plan *plan, const char *path, char **ret_data, size_t *ret_bytes) ERR_MUST_CHECK;
struct err *plan_stat(struct plan *plan, const char *path, struct guest_stat *ret_stat) ERR_MUST_CHECK;
struct err *plan_list(struct plan *plan, const char *path, struct strv *ret_names) ERR_MUST_CHECK;

/*
 * Changes.  The reason is a formatted sentence part for people ("sda1 will not exist on the target").
 * Content equal to what is there already changes nothing and is not recorded.  An existing file keeps
 * owner and mode; a new one is root's with PLAN_MODE.  Symbolic links in the path are followed.
 */
#define PLAN_MODE 0644
struct err *plan_write(struct plan *plan, const char *path, const void *data, size_t bytes,
		       const char *reason, ...) __attribute__((format(printf, 5, 6))) ERR_MUST_CHECK;

/* The same with the content in a file of ours, for what is large (initramfs); the plan removes that
 * file when it is destroyed.  backup_path, if not NULL: where the guest's own old file is kept (with a
 * number behind it if that name is taken). */
struct err *plan_upload(struct plan *plan, const char *path, const char *host_file, const char *backup_path,
			const char *reason, ...) __attribute__((format(printf, 5, 6))) ERR_MUST_CHECK;
struct err *plan_symlink(struct plan *plan, const char *path, const char *target, const char *reason, ...)
	__attribute__((format(printf, 4, 5))) ERR_MUST_CHECK;
struct err *plan_remove(struct plan *plan, const char *path, const char *reason, ...)
	__attribute__((format(printf, 3, 4))) ERR_MUST_CHECK;

/* Something to tell that changes nothing: "smartd.service is enabled: disable it after the move". */
enum finding_severity { FINDING_NOTE, FINDING_WARNING, FINDING_STOP };
void plan_add_finding(struct plan *plan, enum finding_severity severity, const char *text, ...)
	__attribute__((format(printf, 3, 4)));

bool plan_is_empty(const struct plan *plan); /* no changes; findings do not count */

/* Every change with its reason and a unified diff (sizes and hashes for binary files), for people. */
struct err *plan_format(struct plan *plan, struct text *ret_text) ERR_MUST_CHECK;

/* {"changes":[{"author","action","path","reason","diff",…}],"findings":[…]}, see p2v-report.json(5). */
struct err *plan_to_json(struct plan *plan, json_t **ret_json) ERR_MUST_CHECK;

/* Makes the changes in the order they were planned, and syncs. */
struct err *plan_apply(struct plan *plan, const struct log *log) ERR_MUST_CHECK;

DEFINE_CLEANUP(plan, struct plan *, plan_destroy)
#define CLEANUP_PLAN CLEANUP(cleanup_plan)

#endif
