/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/sync/passes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"

struct err *passes_save(const struct passes *passes, const char *folder)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, PASSES_FILE);
	CLEANUP_FREE char *temporary = xasprintf("%s.new", path);
	CLEANUP_JSON json_t *object = json_object();

	json_set_u64(object, "over", passes->over);
	json_set_bool(object, "between", passes->is_between);
	json_set_bool(object, "connected", passes->is_connected);
	if (json_dump_file(object, temporary, JSON_INDENT(2)) || rename(temporary, path)) {
		struct err *err = err_from_errno(errno, "%s", path);

		unlink(temporary);
		return err;
	}
	return NULL;
}

struct err *passes_load(const char *folder, struct passes *ret_passes)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, PASSES_FILE);
	CLEANUP_JSON json_t *object = NULL;

	TRY(json_read_file_if_any(path, &object));
	*ret_passes = (struct passes){0};
	if (!object)
		return NULL;
	TRY(err_wrap(json_get_u64(object, "over", &ret_passes->over), "%s", path));
	ret_passes->is_between = json_is_true(json_object_get(object, "between"));
	ret_passes->is_connected = json_is_true(json_object_get(object, "connected"));
	return NULL;
}
