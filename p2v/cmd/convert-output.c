/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From finished VHDX files in the working folder to OUT/NAME: named by the
 * machine, the boot disk first; in the format asked for; described for us
 * (machine.json, report.json) and for each target's host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/cmd.h"
#include "p2v/cmd/convert.h"
#include "p2v/handover/handover.h"
#include "vhdx/convert.h"

/* What fixes, a new initramfs a kernel and the images' own structures may add. */
#define MARGIN_BYTES (256ull << 20)

struct err *convert_check_space(struct conversion *c, const char *folder)
{
	/* Another format is made from the finished VHDX, beside it. */
	uint64_t copies = c->options->format == OUTPUT_VHDX ? 1 : 2;
	uint64_t needed = c->data_bytes * copies + MARGIN_BYTES, available;
	char needed_text[FORMAT_BYTES], available_text[FORMAT_BYTES];
	struct statvfs fs;
	bool exact = true;

	if (statvfs(folder, &fs))
		return err_from_errno(errno, "%s", folder);
	available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (available >= needed)
		return NULL;
	/* A device cannot tell what it holds: it may be mostly zeros, which take no space. */
	for (size_t i = 0; i < c->session.disk_count; i++)
		exact &= extents_total_bytes(&c->session.disks[i].source.data) <
			 c->session.disks[i].source.blk->size_bytes;
	format_size(needed, needed_text);
	format_size(available, available_text);
	if (!exact) {
		log_warning(c->log, "%s: %s free, up to %s may be needed", folder, available_text,
			    needed_text);
		return NULL;
	}
	return err_advise(err_refused("%s: %s free, but %s are needed", folder, available_text, needed_text),
			  "free some space there, or name another folder with --out");
}

static struct err *convert_to_raw(struct conversion *c, const char *from, const char *to)
{
	CLEANUP_BLK struct blk *source = NULL;
	CLEANUP_BLK struct blk *target = NULL;

	TRY(image_open(from, c->log, NULL, &source));
	TRY(blk_file_open(to, BLK_FILE_CREATE | BLK_FILE_DIRECT, source->size_bytes, &target));
	TRY(image_convert(source, target, NULL));
	return blk_flush(target);
}

static struct err *convert_by_qemu(struct conversion *c, const char *from, const char *to)
{
	const char *format = output_format_name(c->options->format);
	struct serve_options serve = {
		.file = from,
		.read_only = true,
		.scratch_dir = scratch_path(c->session.run),
		.log = c->log,
	};
	struct run_options run = {.log = c->log};
	struct server *server;
	struct err *err;

	TRY(serve_vhdx(&serve, &server));
	err = run_argv((const char *const[]){"qemu-img", "convert", "-f", "raw", "-O", format,
					     server_uri(server), to, NULL},
		       &run, NULL);
	return err_first(err, server_stop(server));
}

/* Replaces a finished VHDX by the same disk in the format asked for. */
static struct err *change_format(struct conversion *c, const char *from, const char *to)
{
	TRY(c->options->format == OUTPUT_RAW ? convert_to_raw(c, from, to) : convert_by_qemu(c, from, to));
	if (unlink(from))
		return err_from_errno(errno, "%s", from);
	return NULL;
}

static struct err *name_disk(struct conversion *c, size_t index)
{
	const struct machine_disk *disk = &c->session.machine.disks[index];
	CLEANUP_FREE char *path = scratch_file(c->work, disk->file);

	if (c->options->format != OUTPUT_VHDX)
		return err_wrap(change_format(c, c->session.disks[index].file, path), "%s", disk->file);
	if (rename(c->session.disks[index].file, path))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

/* Names the files, and moves the boot disk to the front of the machine's disks. */
static struct err *name_disks(struct conversion *c)
{
	for (size_t i = 0; i < c->session.disk_count; i++)
		TRY(name_disk(c, i));
	machine_put_disk_first(&c->session.machine, c->session.boot_disk);
	return NULL;
}

struct err *convert_derive_vm(const struct conversion *c, const struct machine *machine, enum target target,
			      const char *image_dir, struct vm *ret_vm)
{
	struct vm_options options = {
		.drivers = c->drivers.kernel_count ? &c->drivers.kernels[0].drivers : NULL,
		.has_signed_loader = c->has_signed_loader,
		.image_format = output_format_name(c->options->format),
		.image_dir = image_dir,
	};

	return vm_derive(machine, target, &options, ret_vm);
}

static struct err *write_description(struct conversion *c, enum target target, const char *image_dir)
{
	CLEANUP_VM struct vm vm = {0};

	TRY(convert_derive_vm(c, &c->session.machine, target, image_dir, &vm));
	return handover_write(&vm, scratch_path(c->work), &c->descriptions);
}

static struct err *write_descriptions(struct conversion *c)
{
	CLEANUP_FREE char *out = realpath(c->options->out, NULL);
	CLEANUP_FREE char *image_dir = xasprintf("%s/%s", out ? out : c->options->out, c->options->name);

	for (unsigned target = 1; target <= TARGET_XEN; target <<= 1)
		if (c->options->targets & target && handover_find(target))
			TRY(write_description(c, target, image_dir));
	return NULL;
}

static struct err *write_json(struct conversion *c, const char *name, json_t *json)
{
	CLEANUP_FREE char *path = scratch_file(c->work, name);
	CLEANUP_JSON json_t *owned = json;

	return json_write_file(path, owned);
}

static struct err *sync_folder(const char *path)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

struct err *convert_write_output(struct conversion *c)
{
	CLEANUP_FREE char *result = xasprintf("%s/%s", c->options->out, c->options->name);

	TRY(name_disks(c));
	TRY(write_descriptions(c));
	TRY(write_json(c, "machine.json", machine_to_json(&c->session.machine)));
	TRY(write_json(c, "report.json", convert_report(c)));
	TRY(sync_folder(scratch_path(c->work)));
	TRY(scratch_commit(&c->work, result));
	return sync_folder(c->options->out);
}
