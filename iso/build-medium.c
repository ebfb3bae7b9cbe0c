/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on the medium:
 *
 *	/boot/vmlinuz /boot/initrd.img /boot/config.img		see config-image.h
 *	/boot/grub/grub.cfg	of both GRUBs
 *	/boot/p2v-medium	by which GRUB finds the medium among other disks
 *	/.disk/info		by which Debian's signed GRUB does
 *	/boot/grub/bios.img	GRUB for BIOS, with all it needs
 *	partition 2		EFI system partition: shim as BOOTX64.EFI, GRUB
 *
 * Every date is that of the packages, every identifier fixed: the same packages
 * give the same bytes.
 */
#include "iso/build-medium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "iso/build-assets.h"
#include "iso/config-image.h"
#include "p2v/base/file.h"
#include "p2v/base/mem.h"

#define SHIM "/usr/lib/shim/shimx64.efi.signed"
#define MOK_MANAGER "/usr/lib/shim/mmx64.efi.signed" /* shim starts it to enroll a key; never by itself */
#define GRUB_MEDIUM "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"
#define GRUB_NETWORK "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
#define GRUB_BIOS "/usr/lib/grub/i386-pc"

static const struct {
	const char *program, *package;
} needed[] = {
	{"mmdebstrap", "mmdebstrap"}, {"apt-get", "apt"}, {"xorriso", "xorriso"},
	{"mkfs.vfat", "dosfstools"},  {"mmd", "mtools"},  {"mcopy", "mtools"},
};

struct err *medium_check_programs(void)
{
	CLEANUP_TEXT struct text missing = {0};
	CLEANUP_TEXT struct text packages = {0};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		if (run_is_installed(needed[i].program))
			continue;
		text_addf(&missing, "%s%s", missing.bytes ? ", " : "", needed[i].program);
		text_addf(&packages, " %s", needed[i].package);
	}
	if (!missing.bytes)
		return NULL;
	return err_advise(err_refused("programs are missing here: %s", missing.data), "'apt-get install%s'",
			  packages.data);
}

static struct err *write_file(const char *path, const void *data, size_t bytes)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "wxe");

	if (!file || fwrite(data, 1, bytes, file) != bytes || fflush(file))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

/* The configuration of a medium that has none. */
static struct err *write_config(const char *path)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);

	TRY(config_image_make("", image));
	return write_file(path, image, CONFIG_IMAGE_BYTES);
}

/* A program of this machine, to which the date is the packages'. */
static struct err *run_dated(const struct medium *medium, const struct strv *argv)
{
	CLEANUP_FREE char *epoch =
		xasprintf("SOURCE_DATE_EPOCH=%llu", (unsigned long long)medium->packages->epoch);
	const char *const env[] = {epoch, "TZ=UTC", "LC_ALL=C", "MTOOLS_SKIP_CHECK=1", NULL};
	struct run_options run = {.env = env, .log = medium->packages->log};

	return run_argv((const char *const *)argv->items, &run, NULL);
}

#define RUN_DATED(medium, ...) run_words(medium, (const char *const[]){__VA_ARGS__, NULL})
static struct err *run_words(const struct medium *medium, const char *const *words)
{
	CLEANUP_STRV struct strv argv = {0};

	for (; *words; words++)
		strv_add(&argv, *words);
	return run_dated(medium, &argv);
}

static struct err *add_to_esp(const struct medium *medium, const char *image, const char *path,
			      const char *name)
{
	CLEANUP_FREE char *source = NULL;
	CLEANUP_FREE char *target = xasprintf("::/EFI/BOOT/%s", name);

	TRY(packages_find(medium->packages, path, &source));
	return RUN_DATED(medium, "mcopy", "-i", image, source, target);
}

/* FAT, as firmware reads nothing else; 1 KiB units. */
static struct err *make_esp(const struct medium *medium, const char *image)
{
	static const struct {
		const char *path, *name;
	} files[] = {{SHIM, "BOOTX64.EFI"}, {GRUB_MEDIUM, "grubx64.efi"}, {MOK_MANAGER, "mmx64.efi"}};
	CLEANUP_FREE char *size = NULL;
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP_FREE char *source = NULL;
		struct stat st;

		TRY(packages_find(medium->packages, files[i].path, &source));
		if (stat(source, &st))
			return err_from_errno(errno, "%s", source);
		bytes += st.st_size;
	}
	/* Half a MiB for the tables, in whole MiB. */
	size = xasprintf("%llu", (unsigned long long)((bytes + (3 << 19)) >> 20) << 10);
	TRY(RUN_DATED(medium, "mkfs.vfat", "--invariant", "-i", "50325600", "-n", "P2V", "-C", image, size));
	TRY(RUN_DATED(medium, "mmd", "-i", image, "::/EFI", "::/EFI/BOOT"));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		TRY(add_to_esp(medium, image, files[i].path, files[i].name));
	return NULL;
}

/* GRUB for BIOS, with everything in one file. */
static struct err *make_bios_image(const struct medium *medium, const char *path)
{
	static const char *const modules[] = {
		"biosdisk", "iso9660",	      "part_gpt", "part_msdos", "fat",	"normal", "linux",
		"search",   "search_fs_file", "serial",	  "terminal",	"echo", "test",	  "configfile",
		"minicmd",  "sleep",	      "reboot",	  "halt",	"vbe",	"vga",	  "all_video"};
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_STRV struct strv arguments = {0};

	TRY(packages_find(medium->packages, GRUB_BIOS, &dir));
	strv_addf(&arguments, "--directory=%s", dir);
	strv_add(&arguments, "--format=i386-pc-eltorito");
	strv_add(&arguments, "--prefix=/boot/grub");
	strv_addf(&arguments, "--output=%s", path);
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		strv_add(&arguments, modules[i]);
	return packages_run(medium->packages, "/usr/bin/grub-mkimage", (const char *const *)arguments.items,
			    NULL);
}

/* "2026111610170000", as xorriso takes it for --modification-date. */
static char *format_volume_date(uint64_t epoch)
{
	time_t time = epoch;
	struct tm utc;
	char text[32];

	gmtime_r(&time, &utc);
	strftime(text, sizeof text, "%Y%m%d%H%M%S00", &utc);
	return xstrdup(text);
}

static struct err *run_xorriso(const struct medium *medium, const char *path)
{
	static const char *const fixed[] = {
		/* clang-format off */
		"xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "P2V", "-A", MEDIUM_APPLICATION_ID,
		"-publisher", "P2V",
		"-partition_offset", "16", "--mbr-force-bootable",
		"-c", "/boot/grub/boot.cat",
		"-b", "/boot/grub/bios.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		"--grub2-boot-info",
		"-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
		"-appended_part_as_gpt", "-graft-points",
		/* clang-format on */
	};
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_FREE char *date = format_volume_date(medium->packages->epoch);
	CLEANUP_STRV struct strv argv = {0};

	TRY(packages_find(medium->packages, GRUB_BIOS, &dir));
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		strv_add(&argv, fixed[i]);
	strv_addf(&argv, "--modification-date=%s", date);
	/* Folders and the small files were made just now. */
	strv_add(&argv, "--set_all_file_dates");
	strv_addf(&argv, "=%llu", (unsigned long long)medium->packages->epoch);
	strv_add(&argv, "--grub2-mbr");
	strv_addf(&argv, "%s/boot_hybrid.img", dir);
	strv_add(&argv, "-append_partition");
	strv_add(&argv, "2");
	strv_add(&argv, "0xef");
	strv_addf(&argv, "%s/esp.img", medium->work_dir);
	strv_add(&argv, "-o");
	strv_add(&argv, path);
	strv_addf(&argv, "/=%s/medium", medium->work_dir);
	strv_addf(&argv, "/boot/vmlinuz=%s/boot/vmlinuz-%s", medium->packages->dir,
		  medium->packages->kernel_release);
	strv_addf(&argv, "/boot/initrd.img=%s", medium->initramfs);
	return run_dated(medium, &argv);
}

/* What the medium has beside kernel and initramfs, below the folder. */
static struct err *make_small_files(const struct medium *medium)
{
	static const char *const folders[] = {"medium", "medium/boot", "medium/boot/grub", "medium/.disk"};
	CLEANUP_FREE char *info = xasprintf("p2v boot medium, Linux %s\n", medium->packages->kernel_release);
	const struct {
		const char *name, *text;
	} files[] = {{"boot/grub/grub.cfg", asset_grub}, {"boot/p2v-medium", info}, {".disk/info", info}};
	CLEANUP_FREE char *config = xasprintf("%s/medium/boot/config.img", medium->work_dir);
	CLEANUP_FREE char *bios = xasprintf("%s/medium/boot/grub/bios.img", medium->work_dir);

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", medium->work_dir, folders[i]);

		if (mkdir(path, 0755))
			return err_from_errno(errno, "%s", path);
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/medium/%s", medium->work_dir, files[i].name);

		TRY(write_file(path, files[i].text, strlen(files[i].text)));
	}
	TRY(write_config(config));
	return make_bios_image(medium, bios);
}

struct err *medium_write_iso(const struct medium *medium, const char *path)
{
	CLEANUP_FREE char *esp = xasprintf("%s/esp.img", medium->work_dir);

	TRY(make_esp(medium, esp));
	TRY(make_small_files(medium));
	return run_xorriso(medium, path);
}

/* Files of the packages, under the name that is loaded. */
static struct err *copy_from_packages(const struct medium *medium, const char *dir)
{
	CLEANUP_FREE char *kernel = xasprintf("/boot/vmlinuz-%s", medium->packages->kernel_release);
	const struct {
		const char *path, *name;
	} files[] = {{kernel, "vmlinuz"}, {SHIM, "bootx64.efi"}, {GRUB_NETWORK, "grubx64.efi"}};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP_FREE char *source = NULL;
		CLEANUP_FREE char *target = xasprintf("%s/%s", dir, files[i].name);

		TRY(packages_find(medium->packages, files[i].path, &source));
		TRY(file_copy(source, target, 0644));
	}
	return NULL;
}

struct err *medium_write_pxe(const struct medium *medium, const char *dir)
{
	CLEANUP_FREE char *folder = xasprintf("%s/grub", dir);
	CLEANUP_FREE char *grub = xasprintf("%s/grub/grub.cfg", dir);
	CLEANUP_FREE char *ipxe = xasprintf("%s/p2v.ipxe", dir);
	CLEANUP_FREE char *initramfs = xasprintf("%s/initrd.img", dir);
	CLEANUP_FREE char *config = xasprintf("%s/config.img", dir);

	TRY(copy_from_packages(medium, dir));
	TRY(file_copy(medium->initramfs, initramfs, 0644));
	TRY(write_config(config));
	if (mkdir(folder, 0755))
		return err_from_errno(errno, "%s", folder);
	TRY(write_file(grub, asset_grub_network, strlen(asset_grub_network)));
	return write_file(ipxe, asset_ipxe, strlen(asset_ipxe));
}
