/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"

struct err *json_read_file(const char *path, json_t **ret_value)
{
	json_error_t error;
	json_t *value;

	if (access(path, R_OK))
		return err_from_errno(errno, "%s", path);
	value = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		return err_advise(err_refused("%s: line %d: %s", path, error.line, error.text),
				  "the file is not what p2v wrote: restore it, or make it again");
	*ret_value = value;
	return NULL;
}

struct err *json_read_file_if_any(const char *path, json_t **ret_value)
{
	struct err *err = json_read_file(path, ret_value);

	if (!err || err_errno(err) != ENOENT)
		return err;
	err_free(err);
	*ret_value = NULL;
	return NULL;
}

static struct err *write_and_sync(int fd, const char *path, const char *data, size_t bytes)
{
	while (bytes) {
		ssize_t written = write(fd, data, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_from_errno(errno, "%s", path);
		data += written;
		bytes -= written;
	}
	if (fsync(fd))
		return err_from_errno(errno, "%s: fsync", path);
	return NULL;
}

struct err *json_write_file(const char *path, const json_t *value)
{
	CLEANUP_FREE char *temporary = xasprintf("%s.XXXXXX", path);
	CLEANUP_FREE char *body = json_dumps(value, JSON_INDENT(2));
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FD int fd = -1;
	struct err *err;

	if (!body)
		return err_nomem();
	data = xasprintf("%s\n", body);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	err = write_and_sync(fd, path, data, strlen(data));
	if (!err && fchmod(fd, 0644))
		err = err_from_errno(errno, "%s", path);
	if (!err && rename(temporary, path))
		err = err_from_errno(errno, "%s", path);
	if (err)
		unlink(temporary);
	return err;
}

struct err *json_get_string(const json_t *object, const char *key, const char **ret_value)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_string(member))
		return err_refused("member '%s' is missing or no string", key);
	*ret_value = json_string_value(member);
	return NULL;
}

struct err *json_get_u64(const json_t *object, const char *key, uint64_t *ret_value)
{
	const json_t *member = json_object_get(object, key);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return err_refused("member '%s' is missing or no whole number", key);
	*ret_value = json_integer_value(member);
	return NULL;
}

const char *json_string_or(const json_t *object, const char *key, const char *fallback)
{
	const json_t *member = json_object_get(object, key);

	return json_is_string(member) ? json_string_value(member) : fallback;
}

void json_set_string(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, value ? json_string(value) : json_null());
}

void json_set_u64(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer(value));
}

void json_set_bool(json_t *object, const char *key, int value)
{
	json_object_set_new(object, key, json_boolean(value));
}
