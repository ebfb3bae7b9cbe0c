/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/capture/lib-files.h"

static void run_on(const char *const *argv, const char *image)
{
	CLEANUP_STRV struct strv all = {0};

	for (; *argv; argv++)
		strv_add(&all, *argv);
	strv_add(&all, image);
	must_run((const char *const *)all.items);
}

static bool try_on(const char *const *argv, const char *image)
{
	CLEANUP_STRV struct strv all = {0};
	struct err *err;

	for (; *argv; argv++)
		strv_add(&all, *argv);
	strv_add(&all, image);
	err = run_argv((const char *const *)all.items, &(struct run_options){0}, NULL);
	if (err)
		print_message("%s\n", err_message(err));
	err_free(err);
	return !err;
}

static char *beside(const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');

	return xasprintf("%.*s/%s", (int)(slash - image), image, name);
}

/* ntfs-3g's process may still hold the image for a moment after umount returns. */
static void wait_unlocked(const char *image)
{
	const char *argv[] = {"flock", "-x", image, "true", NULL};

	must_run(argv);
}

/* Says why not on the way, because a map that lacks something shows here. */
static bool mount_image(const struct fs_case *fs, const char *image, const char *folder, bool read_only)
{
	const char *by_kernel[] = {"mount", "-o", read_only ? "loop,ro" : "loop", image, folder, NULL};
	const char *by_ntfs[] = {"ntfs-3g", "-o", read_only ? "ro" : "rw", image, folder, NULL};
	struct err *err = run_argv(fs->fill == FS_NTFS ? by_ntfs : by_kernel, &(struct run_options){0}, NULL);

	if (err)
		print_message("%s\n", err_message(err));
	err_free(err);
	return !err;
}

static void unmount(const char *folder)
{
	const char *argv[] = {"umount", folder, NULL};

	must_run(argv);
}

static void make_junk(const char *path)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 77777), 0);
}

/* A file of junk goes in with every folder and is removed again, so that there are gaps. */
static void fill_by_mtools(const struct fs_case *fs, const char *image)
{
	CLEANUP_FREE char *folder = beside(image, "tree");

	assert_int_equal(mkdir(folder, 0700), 0);
	files_make(folder, fs->fill_mib);
	for (unsigned i = 0; i < FILES_FOLDERS; i++) {
		CLEANUP_FREE char *part = xasprintf("%s/d%u", folder, i);
		CLEANUP_FREE char *junk = xasprintf("%s/junk", part);
		const char *copy[] = {"mcopy", "-Q", "-s", "-i", image, part, "::", NULL};

		make_junk(junk);
		must_run(copy);
	}
	for (unsigned i = 0; i < FILES_FOLDERS; i++) {
		CLEANUP_FREE char *inside = xasprintf("::d%u/junk", i);
		const char *argv[] = {"mdel", "-i", image, inside, NULL};

		must_run(argv);
	}
}

static uint64_t fill_mounted(const struct fs_case *fs, const char *image)
{
	CLEANUP_FREE char *folder = beside(image, "mnt");
	struct statvfs stat;

	assert_int_equal(mkdir(folder, 0700), 0);
	assert_true(mount_image(fs, image, folder, false));
	files_make(folder, fs->fill_mib);
	sync();
	assert_int_equal(statvfs(folder, &stat), 0);
	unmount(folder);
	wait_unlocked(image);
	return ((uint64_t)fs->size_mib << 20) - (uint64_t)stat.f_bfree * stat.f_frsize;
}

static void remember(const char *image, uint64_t bytes)
{
	CLEANUP_FREE char *path = beside(image, "used");
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "%llu\n", (unsigned long long)bytes);
}

uint64_t fs_used_bytes(const struct fs_case *fs, const char *image)
{
	CLEANUP_FREE char *path = beside(image, "used");
	CLEANUP_FCLOSE FILE *file = fopen(path, "r");
	unsigned long long bytes = 0;

	(void)fs;
	if (file && fscanf(file, "%llu", &bytes) != 1)
		bytes = 0;
	return bytes;
}

char *fs_make(const struct fs_case *fs)
{
	char folder[] = "/var/tmp/p2v-test-fs.XXXXXX";
	char *image;
	int fd;

	assert_non_null(mkdtemp(folder));
	image = xasprintf("%s/image", folder);
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)fs->size_mib << 20), 0);
	close(fd);
	run_on(fs->mkfs, image);
	if (fs->fill == FS_MTOOLS)
		fill_by_mtools(fs, image);
	else if (fs->fill != FS_EMPTY)
		remember(image, fill_mounted(fs, image));
	return image;
}

void fs_remove(const char *image)
{
	CLEANUP_FREE char *folder = beside(image, "");

	folder[strlen(folder) - 1] = '\0';
	remove_tree(folder);
}

static bool holds_files_mounted(const struct fs_case *fs, const char *image)
{
	CLEANUP_FREE char *folder = beside(image, "mnt");
	bool right;

	if (!mount_image(fs, image, folder, true))
		return false;
	right = files_are_there(folder, fs->fill_mib);
	unmount(folder);
	wait_unlocked(image);
	return right;
}

static bool holds_files_by_mtools(const struct fs_case *fs, const char *image)
{
	CLEANUP_FREE char *folder = beside(image, "out");
	const char *argv[] = {"mcopy", "-Q", "-s", "-i", image, "::*", folder, NULL};
	bool right;

	assert_int_equal(mkdir(folder, 0700), 0);
	right = !run_argv(argv, &(struct run_options){0}, NULL);
	right = right && files_are_there(folder, fs->fill_mib);
	remove_tree(folder);
	return right;
}

bool fs_is_sound(const struct fs_case *fs, const char *image)
{
	if (fs->check[0] && !try_on(fs->check, image))
		return false;
	if (fs->fill == FS_EMPTY)
		return true;
	return fs->fill == FS_MTOOLS ? holds_files_by_mtools(fs, image) : holds_files_mounted(fs, image);
}

static void overwrite(struct blk *blk, uint64_t start, uint64_t end)
{
	static const size_t piece_bytes = 1 << 20;
	CLEANUP_FREE uint8_t *piece = xmalloc(piece_bytes);

	memset(piece, 0xaa, piece_bytes);
	for (; start < end; start += piece_bytes)
		must(blk_pwrite(blk, piece, end - start < piece_bytes ? end - start : piece_bytes, start, 0));
}

void fs_overwrite_rest(const char *image, const struct extents *used)
{
	CLEANUP_BLK struct blk *blk = NULL;
	uint64_t at = 0;

	must(blk_file_open(image, BLK_FILE_WRITE, 0, &blk));
	for (size_t i = 0; i < used->count; i++) {
		overwrite(blk, at, used->ranges[i].start);
		at = used->ranges[i].end;
	}
	overwrite(blk, at, blk->size_bytes);
}

void fs_map(const char *image, const struct usedmap_options *options, struct usedmap *ret_map)
{
	CLEANUP_BLK struct blk *blk = NULL;

	must(blk_file_open(image, 0, 0, &blk));
	usedmap_take(blk, options, ret_map);
}

static bool kernel_has(const char *kind)
{
	CLEANUP_FCLOSE FILE *file = fopen("/proc/filesystems", "r");
	char line[80];

	while (file && fgets(line, sizeof line, file))
		if (strstr(line, kind))
			return true;
	return false;
}

bool fs_can_make(const struct fs_case *fs)
{
	if (fs->fill == FS_MOUNT && (geteuid() || !kernel_has(fs->kind))) {
		print_message("skipped: %s cannot be mounted here\n", fs->kind);
		return false;
	}
	if (fs->fill == FS_NTFS && (geteuid() || access("/dev/fuse", R_OK | W_OK))) {
		print_message("skipped: no FUSE here\n");
		return false;
	}
	return true;
}
