/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * supermin(1) builds the appliance; its options are those that libguestfs
 * gives it (lib/appliance.c there), so that both use the same files.
 *
 * It builds beside its output folder under a random name, and what it had so far
 * would stay there for ever if it were killed.  So it is given an output folder
 * in a scratch folder of ours: a stand-in with links to the real one's files, by
 * whose times it tells whether anything is to be done (--if-newer).  What it built
 * takes the place of the real one in one step.  All this is under libguestfs's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-kernel.h"

#define BUILD_LIMIT_NS 900000000000ull
#define LOCK_INTERVAL_NS 100000000

/* The folder of the search path that has a supermin.d, unless a fixed appliance comes before it. */
static char *find_supermin_dir(guestfs_h *g)
{
	const char *path = guestfs_get_path(g);
	CLEANUP_STRV struct strv dirs = {0};

	strv_split(&dirs, path ? path : "", ":");
	for (size_t i = 0; i < dirs.count; i++) {
		CLEANUP_FREE char *fixed = xasprintf("%s/README.fixed", dirs.items[i]);
		CLEANUP_FREE char *supermin = xasprintf("%s/supermin.d", dirs.items[i]);

		if (access(fixed, F_OK) == 0)
			return NULL;
		if (access(supermin, F_OK) == 0)
			return take_ptr(supermin);
	}
	return NULL;
}

/* libguestfs's own cache folder, which only we may be able to write. */
static struct err *make_cache_dir(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return err_from_errno(errno, "%s", dir);
	if (lstat(dir, &st))
		return err_from_errno(errno, "%s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_failed("%s: belongs to somebody else", dir);
	return NULL;
}

/* As supermin takes it; released when the descriptor is closed. */
static struct err *take_lock(const char *path, int *ret_fd)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	uint64_t deadline_ns = run_now_ns() + BUILD_LIMIT_NS;

	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	while (lockf(fd, F_TLOCK, 0)) {
		if (errno != EAGAIN && errno != EACCES)
			return err_from_errno(errno, "%s", path);
		if (run_now_ns() > deadline_ns)
			return err_failed("%s: another process builds the appliance, and does not end", path);
		nanosleep(&(struct timespec){.tv_nsec = LOCK_INTERVAL_NS}, NULL);
	}
	*ret_fd = take_fd(&fd);
	return NULL;
}

/* What supermin makes, and looks at to tell whether it is to be made anew. */
static const char *const outputs[] = {"kernel", "initrd", "root"};
#define OUTPUTS (sizeof outputs / sizeof *outputs)

/* Of a part of an appliance, as an attempt that failed may have left it, there is no use. */
static struct err *make_stand_in(const char *dir, const char *stand_in)
{
	struct stat st;

	if (lstat(dir, &st))
		return errno == ENOENT ? NULL : err_from_errno(errno, "%s", dir);
	if (mkdir(stand_in, 0755))
		return err_from_errno(errno, "%s", stand_in);
	for (size_t i = 0; i < OUTPUTS; i++) {
		CLEANUP_FREE char *from = xasprintf("%s/%s", dir, outputs[i]);
		CLEANUP_FREE char *to = xasprintf("%s/%s", stand_in, outputs[i]);

		if (link(from, to) && errno != ENOENT)
			return err_from_errno(errno, "%s", to);
	}
	if (utimensat(AT_FDCWD, stand_in, (struct timespec[]){st.st_mtim, st.st_mtim}, 0))
		return err_from_errno(errno, "%s", stand_in);
	return NULL;
}

/* The kernel is copied with its own time, which is older than what the next comparison looks at. */
static struct err *touch_outputs(const char *built)
{
	for (size_t i = 0; i < OUTPUTS; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", built, outputs[i]);

		if (utimensat(AT_FDCWD, path, NULL, 0))
			return err_from_errno(errno, "%s", path);
	}
	return NULL;
}

/* A folder's number; 0 if there is none. */
static ino_t number_of(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) ? 0 : st.st_ino;
}

static struct err *run_supermin(const char *supermin_dir, const char *out, const char *temporary,
				const struct log *log)
{
	CLEANUP_FREE char *env = xasprintf("TMPDIR=%s", temporary);
	struct run_options options = {
		.time_limit_ns = BUILD_LIMIT_NS,
		.env = (const char *const[]){env, NULL},
		.log = log,
	};
	struct utsname machine;

	if (uname(&machine))
		return err_from_errno(errno, "uname");
	return run_argv((const char *const[]){"supermin", "--build", "--if-newer", "--copy-kernel", "-f",
					      "ext2", "--host-cpu", machine.machine, supermin_dir, "-o", out,
					      NULL},
			&options, NULL);
}

/* What was there before goes with the scratch folder. */
static struct err *put_in_place(const char *built, const char *dir, const char *old)
{
	if (!renameat2(AT_FDCWD, built, AT_FDCWD, dir, RENAME_EXCHANGE))
		return NULL;
	/* The first one, or a file system that cannot exchange. */
	if ((rename(dir, old) && errno != ENOENT) || rename(built, dir))
		return err_from_errno(errno, "%s", dir);
	return NULL;
}

static struct err *build(const char *supermin_dir, const char *cache, const char *dir, const struct log *log)
{
	CLEANUP_FREE char *lock_path = xasprintf("%s/lock", cache);
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_FREE char *stand_in = NULL;
	CLEANUP_FREE char *old = NULL;
	CLEANUP_FD int lock = -1;
	ino_t before;

	TRY(take_lock(lock_path, &lock));
	TRY(scratch_create(cache, "p2v", &scratch));
	stand_in = scratch_file(scratch, "appliance.d");
	old = scratch_file(scratch, "old");
	TRY(make_stand_in(dir, stand_in));
	before = number_of(stand_in);
	if (access(dir, F_OK))
		log_info(log, "building libguestfs's appliance, once");
	TRY(run_supermin(supermin_dir, stand_in, scratch_path(scratch), log));
	/* Not replaced: the real one is as new as can be. */
	if (before && number_of(stand_in) == before)
		return NULL;
	TRY(touch_outputs(stand_in));
	return put_in_place(stand_in, dir, old);
}

struct err *appliance_build(guestfs_h *g, const struct log *log, char **ret_dir)
{
	CLEANUP_FREE char *supermin_dir = find_supermin_dir(g);
	CLEANUP_FREE char *cache_parent = guestfs_get_cachedir(g);
	CLEANUP_FREE char *cache = NULL;
	CLEANUP_FREE char *dir = NULL;

	*ret_dir = NULL;
	if (!supermin_dir || !cache_parent)
		return NULL;
	cache = xasprintf("%s/.guestfs-%u", cache_parent, geteuid());
	dir = xasprintf("%s/appliance.d", cache);
	TRY(make_cache_dir(cache));
	TRY(build(supermin_dir, cache, dir, log));
	*ret_dir = take_ptr(dir);
	return NULL;
}
