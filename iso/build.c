/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps, and what must hold before the first of them.  Results are made
 * beside where they will be, and get their names when they are whole.
 */
#include "iso/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iso/build-image.h"
#include "iso/build-medium.h"
#include "p2v/base/file.h"
#include "p2v/base/mem.h"
#include "p2v/base/output.h"
#include "p2v/base/scratch.h"

static struct err *check_missing(const char *path)
{
	struct stat st;

	if (path && !lstat(path, &st))
		return err_advise(err_refused("%s: exists", path), "remove it, or give another name");
	return NULL;
}

static struct err *check(const struct iso_build_options *options)
{
	TRY(check_missing(options->iso));
	TRY(check_missing(options->pxe_dir));
	if (access(options->agent, R_OK))
		return err_advise(err_as(err_from_errno(errno, "%s", options->agent), ERR_REFUSED),
				  "say with --agent where p2v-agent is");
	if (geteuid())
		return err_advise(err_refused("packages can be unpacked as they are by root alone"),
				  "run it as root");
	return medium_check_programs();
}

/* Becomes options->packages_dir where one is wanted; *ret_dir is where they lie. */
static struct err *get_packages(const struct iso_build_options *options, struct scratch *work, char **ret_dir)
{
	CLEANUP_SCRATCH struct scratch *kept = NULL;
	CLEANUP_FREE char *parent = NULL;
	CLEANUP_FREE char *dir = NULL;

	if (!options->packages_dir) {
		dir = scratch_file(work, "packages");
		TRY(packages_fetch(&options->packages, dir));
		*ret_dir = take_ptr(dir);
		return NULL;
	}
	if (!packages_are_in(options->packages_dir)) {
		TRY(check_missing(options->packages_dir));
		parent = file_folder(options->packages_dir);
		TRY(scratch_create(parent, ".p2v-packages", &kept));
		TRY(packages_fetch(&options->packages, scratch_path(kept)));
		TRY(scratch_commit(&kept, options->packages_dir));
	}
	*ret_dir = xstrdup(options->packages_dir);
	return NULL;
}

static struct err *sync_file(const char *path)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_from_errno(errno, "%s", path) : NULL;
}

static struct err *make_initramfs(const struct iso_build_options *options, const struct packages *packages,
				  const char *path)
{
	CLEANUP_SCRATCH struct scratch *beside = NULL;

	/* On their file system, for links. */
	TRY(scratch_create(packages->dir, ".p2v-modules", &beside));
	return image_write(packages, options->agent, options->packages.firmware, scratch_path(beside), path);
}

static struct err *make_results(const struct iso_build_options *options, const struct medium *medium)
{
	CLEANUP_FREE char *pxe_folder = options->pxe_dir ? file_folder(options->pxe_dir) : NULL;
	CLEANUP_OUTPUT struct output *iso = NULL;
	CLEANUP_SCRATCH struct scratch *pxe = NULL;

	TRY(output_begin(options->iso, &iso));
	TRY(medium_write_iso(medium, output_path(iso)));
	if (options->pxe_dir) {
		TRY(scratch_create(pxe_folder, ".p2v-pxe", &pxe));
		TRY(medium_write_pxe(medium, scratch_path(pxe)));
	}
	TRY(output_name_it(iso, sync_file(output_path(iso))));
	TRY(output_commit(iso));
	return pxe ? scratch_commit(&pxe, options->pxe_dir) : NULL;
}

struct err *iso_build(const struct iso_build_options *options)
{
	const struct log *log = options->packages.log;
	CLEANUP_SCRATCH struct scratch *work = NULL;
	CLEANUP_PACKAGES struct packages packages = {0};
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_FREE char *initramfs = NULL;
	CLEANUP_FREE char *medium_dir = NULL;
	struct medium medium = {.packages = &packages};

	TRY(check(options));
	TRY(scratch_create(options->temporary_dir, "p2v-iso", &work));
	log_info(log, "packages of %s", options->packages.suite);
	TRY(get_packages(options, work, &dir));
	TRY(packages_open(&options->packages, dir, &packages));
	log_info(log, "initramfs for Linux %s", packages.kernel_release);
	initramfs = scratch_file(work, "initrd.img");
	TRY(make_initramfs(options, &packages, initramfs));
	log_info(log, "medium");
	medium_dir = scratch_file(work, "medium");
	if (mkdir(medium_dir, 0700))
		return err_from_errno(errno, "%s", medium_dir);
	medium.initramfs = initramfs;
	medium.work_dir = medium_dir;
	return make_results(options, &medium);
}
