/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program is off its event once the last descriptor of the link between the
 * two is closed.  The tracker has the only one: another file takes its number
 * meanwhile, so that the tracker notices nothing.
 */
#include "tests/capture/lib-unhook.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "capture/kernelfs.h"
#include "capture/track-event.h"
#include "tests/base/lib-must.h"

static const struct {
	const char *program, *event;
} hooks[] = {
	{"track_queue", "block_bio_queue"},
	{"track_issue", "block_rq_issue"},
	{"track_complete", "block_rq_complete"},
};

static int program_of_link(int fd, enum bpf_link_type *ret_type)
{
	struct bpf_link_info info = {0};
	__u32 bytes = sizeof info;

	if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return -1;
	*ret_type = info.type;
	return bpf_prog_get_fd_by_id(info.prog_id);
}

static int is_named(int program_fd, const char *name)
{
	struct bpf_prog_info info = {0};
	__u32 bytes = sizeof info;

	return !bpf_obj_get_info_by_fd(program_fd, &info, &bytes) &&
	       !strncmp(info.name, name, sizeof info.name - 1);
}

static int is_of(int folder, const char *fd_name, const char *kind)
{
	char target[64] = "";

	return readlinkat(folder, fd_name, target, sizeof target - 1) > 0 && !strcmp(target, kind);
}

/* The next of that kind in /proc/self/fd; -1 behind the last. */
static int next_fd(DIR *folder, const char *kind)
{
	struct dirent *entry;

	while ((entry = readdir(folder)))
		if (is_of(dirfd(folder), entry->d_name, kind))
			return atoi(entry->d_name);
	return -1;
}

static void put_nothing_in_place_of(int fd)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(dup2(nothing, fd), fd);
	close(nothing);
}

static const char *event_of(const char *program)
{
	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
		if (!strcmp(hooks[i].program, program))
			return hooks[i].event;
	fail_msg("there is no program %s", program);
	return NULL;
}

struct unhooked unhook(const char *program)
{
	struct unhooked found = {-1, -1, NULL};
	DIR *folder = opendir("/proc/self/fd");
	int fd;

	while ((fd = next_fd(folder, "anon_inode:bpf_link")) >= 0) {
		enum bpf_link_type type = BPF_LINK_TYPE_UNSPEC;
		int program_fd = program_of_link(fd, &type);

		if (program_fd < 0)
			continue;
		if (is_named(program_fd, program))
			found = (struct unhooked){
				fd, program_fd, type == BPF_LINK_TYPE_PERF_EVENT ? event_of(program) : NULL};
		else
			close(program_fd);
	}
	closedir(folder);
	assert_true(found.link_fd >= 0);
	put_nothing_in_place_of(found.link_fd);
	return found;
}

static int link_to_event(const struct unhooked *unhooked)
{
	int tracefs, event, link;

	must(kernelfs_open_tracefs(&tracefs));
	must(track_event_open(tracefs, unhooked->event, &event));
	link = bpf_link_create(unhooked->program_fd, event, BPF_PERF_EVENT, NULL);
	close(event);
	close(tracefs);
	return link;
}

void hook_again(struct unhooked unhooked)
{
	int link = unhooked.event ? link_to_event(&unhooked)
				  : bpf_raw_tracepoint_open(NULL, unhooked.program_fd);

	assert_true(link >= 0);
	assert_int_equal(dup2(link, unhooked.link_fd), unhooked.link_fd);
	close(link);
	close(unhooked.program_fd);
}

static int is_map(int fd, const char *name)
{
	struct bpf_map_info info = {0};
	__u32 bytes = sizeof info;

	return !bpf_obj_get_info_by_fd(fd, &info, &bytes) && !strcmp(info.name, name);
}

void lose_map(const char *name)
{
	DIR *folder = opendir("/proc/self/fd");
	int fd, lost = 0;

	while ((fd = next_fd(folder, "anon_inode:bpf-map")) >= 0) {
		if (!is_map(fd, name))
			continue;
		put_nothing_in_place_of(fd);
		lost++;
	}
	closedir(folder);
	assert_int_equal(lost, 1);
}
