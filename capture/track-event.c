/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/track-event.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/track-format.h"
#include "p2v/base/mem.h"

#define MAX_FORMAT 8192u

/* In the folder of an event; the text ends with a zero. */
static struct err *read_event(int tracefs, const char *event, const char *name, char text[MAX_FORMAT])
{
	CLEANUP_FREE char *path = xasprintf("events/block/%s/%s", event, name);
	CLEANUP_FD int fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, text, MAX_FORMAT - 1);

	if (bytes < 0)
		return err_from_errno(errno, "tracefs: %s", path);
	text[bytes] = '\0';
	return NULL;
}

/* bytes: its size, or for an array the least that it must have. */
static bool find_field(const char *format, const char *name, uint32_t bytes, bool is_array, __u32 *ret_offset)
{
	struct track_field field;

	if (!track_format_find(format, name, &field) || (is_array ? field.size < bytes : field.size != bytes))
		return false;
	/* The first word of a record is not for programs. */
	if (field.offset < sizeof(void *))
		return false;
	*ret_offset = field.offset;
	return true;
}

struct err *track_event_find_fields(int tracefs, const char *event, struct track_fields *ret_fields)
{
	char format[MAX_FORMAT];

	TRY(read_event(tracefs, event, "format", format));
	if (!find_field(format, "dev", sizeof(uint32_t), false, &ret_fields->dev) ||
	    !find_field(format, "sector", sizeof(uint64_t), false, &ret_fields->sector) ||
	    !find_field(format, "nr_sector", sizeof(uint32_t), false, &ret_fields->nr_sector) ||
	    !find_field(format, "rwbs", 3, true, &ret_fields->rwbs))
		return err_refused(
			"the records of the kernel's trace point %s are not as they are known here", event);
	return NULL;
}

struct err *track_event_open(int tracefs, const char *event, int *ret_fd)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof attributes,
		.sample_period = 1,
		.wakeup_events = 1,
	};
	char id[MAX_FORMAT];

	TRY(read_event(tracefs, event, "id", id));
	attributes.config = strtoull(id, NULL, 10);
	/* Of any process on any processor: the number of the latter has no meaning with a program. */
	*ret_fd = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return *ret_fd < 0 ? err_from_errno(errno, "opening the trace point %s", event) : NULL;
}

struct err *track_event_attach(int tracefs, const char *event, const struct bpf_program *program,
			       struct bpf_link **ret_link)
{
	int fd;

	TRY(track_event_open(tracefs, event, &fd));
	*ret_link = bpf_program__attach_perf_event(program, fd);
	if (*ret_link)
		return NULL;
	close(fd);
	return err_from_errno(errno, "attaching to the trace point %s", event);
}
