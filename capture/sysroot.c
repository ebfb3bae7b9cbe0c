/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/sysroot.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "p2v/base/mem.h"

#define MAX_FILE_BYTES (1u << 20)

static char *make_path(const char *root, const char *format, va_list args)
{
	CLEANUP_FREE char *path = xvasprintf(format, args);

	return xasprintf("%s%s", root, path);
}

#define PATH_FROM_ARGS(path)                  \
	CLEANUP_FREE char *path;              \
	va_list args;                         \
                                              \
	va_start(args, format);               \
	path = make_path(root, format, args); \
	va_end(args)

char *sysroot_path(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	return_ptr(path);
}

/* Files in sysfs and procfs tell no size, so they are read until they end. */
static uint8_t *read_all(const char *path, size_t *ret_bytes)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_TEXT struct text all = {0};
	char piece[4096];
	ssize_t bytes;

	if (fd < 0)
		return NULL;
	while ((bytes = read(fd, piece, sizeof piece)) > 0 && all.bytes < MAX_FILE_BYTES)
		text_add(&all, piece, bytes);
	if (bytes < 0)
		return NULL;
	*ret_bytes = all.bytes;
	return (uint8_t *)text_take(&all);
}

uint8_t *sysroot_read_bytes(const char *root, size_t *ret_bytes, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	return read_all(path, ret_bytes);
}

static char *trim(char *text)
{
	size_t bytes = strlen(text), start = 0;

	while (bytes && isspace((unsigned char)text[bytes - 1]))
		bytes--;
	while (start < bytes && isspace((unsigned char)text[start]))
		start++;
	return bytes > start ? xstrndup(text + start, bytes - start) : NULL;
}

static char *read_text(const char *path)
{
	size_t bytes;
	CLEANUP_FREE char *text = (char *)read_all(path, &bytes);

	return text ? trim(text) : NULL;
}

char *sysroot_read(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	return read_text(path);
}

void sysroot_lines(const char *root, struct strv *ret_lines, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	CLEANUP_FREE char *text = read_text(path);

	if (text)
		strv_split(ret_lines, text, "\n");
}

uint64_t sysroot_number(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	CLEANUP_FREE char *text = read_text(path);

	return text ? strtoull(text, NULL, 10) : 0;
}

char *sysroot_link(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	char target[PATH_MAX];
	ssize_t bytes = readlink(path, target, sizeof target - 1);
	const char *slash;

	if (bytes <= 0)
		return NULL;
	target[bytes] = '\0';
	slash = strrchr(target, '/');
	return xstrdup(slash ? slash + 1 : target);
}

char *sysroot_real(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	return realpath(path, NULL);
}

char *sysroot_device_number(const char *root, const char *path)
{
	CLEANUP_FREE char *real = sysroot_real(root, "%s", path);
	const char *slash = strrchr(real ? real : path, '/');

	/* Volumes are links to what the kernel calls them. */
	return slash ? sysroot_read(root, "/sys/class/block/%s/dev", slash + 1) : NULL;
}

bool sysroot_has(const char *root, const char *format, ...)
{
	PATH_FROM_ARGS(path);
	return !access(path, F_OK);
}

static int compare_names(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

void sysroot_list(const char *root, const char *folder, struct strv *ret_names)
{
	CLEANUP_FREE char *path = sysroot_path(root, "%s", folder);
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			strv_add(ret_names, entry->d_name);
	closedir(dir);
	if (ret_names->count)
		qsort(ret_names->items, ret_names->count, sizeof *ret_names->items, compare_names);
}

char *sysroot_value(const char *text, const char *key)
{
	size_t key_bytes = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *value;
		size_t bytes;

		line += *line == '\n';
		if (strncmp(line, key, key_bytes) || line[key_bytes] != '=')
			continue;
		value = line + key_bytes + 1;
		bytes = strcspn(value, "\n");
		if (bytes >= 2 && (*value == '"' || *value == '\'') && value[bytes - 1] == *value) {
			value++;
			bytes -= 2;
		}
		return bytes ? xstrndup(value, bytes) : NULL;
	}
	return NULL;
}

void sysroot_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (*from == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
		    from[3] >= '0' && from[3] <= '7') {
			*to = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}
