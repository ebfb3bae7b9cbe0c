/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the guest boots: firmware and boot loader, from where the loaders lie.
 * An EFI system partition that fstab mounts and that holds a loader means UEFI;
 * images that can do both (many cloud images) then count as UEFI.
 */
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/fstab.h"
#include "p2v/guest/inspect-impl.h"
#include "p2v/guest/path.h"

/* An entry of dir, regardless of case as FAT has it; NULL if there is none. */
static struct err *find_nocase(struct guest *guest, const char *dir, const char *name, char **ret_path)
{
	CLEANUP_STRV struct strv names = {0};

	*ret_path = NULL;
	TRY(guest_list(guest, dir, &names));
	for (size_t i = 0; i < names.count && !*ret_path; i++) {
		if (strcasecmp(names.items[i], name) == 0)
			*ret_path = path_join(dir, names.items[i]);
	}
	return NULL;
}

static bool ends_with_nocase(const char *s, const char *suffix)
{
	size_t bytes = strlen(s);
	size_t suffix_bytes = strlen(suffix);

	return bytes >= suffix_bytes && strcasecmp(s + bytes - suffix_bytes, suffix) == 0;
}

/* What the EFI folder of the system partition holds. */
struct esp {
	char *efi; /* "/boot/efi/EFI" */
	bool has_loader;
	bool has_fallback;
	bool has_systemd_boot;
	char *grub_config; /* one that is more than a pointer to another */
};

static void esp_deinit(struct esp *esp)
{
	free(esp->efi);
	free(esp->grub_config);
}

/* Red Hat before 9 keeps the real configuration on the ESP; Debian keeps three lines there. */
static struct err *look_at_grub_config(struct guest *guest, const char *path, struct esp *esp)
{
	CLEANUP_FREE char *text = NULL;
	size_t bytes;

	TRY(guest_read(guest, path, &text, &bytes));
	if (text && (strstr(text, "menuentry ") || strstr(text, "blscfg")))
		esp->grub_config = xstrdup(path);
	return NULL;
}

static struct err *scan_vendor(struct guest *guest, const char *vendor, struct esp *esp)
{
	CLEANUP_FREE char *dir = path_join(esp->efi, vendor);
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(guest, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		CLEANUP_FREE char *path = path_join(dir, name);

		if (ends_with_nocase(name, ".efi"))
			esp->has_loader = true;
		if (strcasecmp(vendor, "BOOT") == 0 && strcasecmp(name, "BOOTX64.EFI") == 0)
			esp->has_fallback = true;
		if (strcasecmp(vendor, "systemd") == 0 && ends_with_nocase(name, ".efi"))
			esp->has_systemd_boot = true;
		if (strcasecmp(name, "grub.cfg") == 0 && !esp->grub_config)
			TRY(look_at_grub_config(guest, path, esp));
	}
	return NULL;
}

static struct err *scan_esp(struct guest *guest, const char *mount_point, struct esp *esp)
{
	CLEANUP_STRV struct strv vendors = {0};

	TRY(find_nocase(guest, mount_point, "EFI", &esp->efi));
	if (!esp->efi)
		return NULL;
	TRY(guest_list(guest, esp->efi, &vendors));
	for (size_t i = 0; i < vendors.count; i++)
		TRY(scan_vendor(guest, vendors.items[i], esp));
	return NULL;
}

/* Where the EFI system partition is mounted: a FAT file system at one of the usual places. */
static struct err *find_esp(const struct inspect_context *context, char **ret_mount_point)
{
	static const char *const usual[] = {"/boot/efi", "/efi", "/boot/EFI", "/boot", NULL};
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FSTAB struct fstab *fstab = NULL;
	size_t bytes;

	TRY(guest_read(context->guest, "/etc/fstab", &text, &bytes));
	fstab = fstab_parse(text);
	for (const char *const *path = usual; *path && !*ret_mount_point; path++) {
		const struct fstab_entry *entry = fstab_find_file(fstab, *path);
		CLEANUP_FREE char *efi = NULL;

		if (entry && strcmp(entry->type, "vfat") != 0 && strcmp(entry->type, "auto") != 0 &&
		    strcmp(entry->type, "msdos") != 0)
			continue;
		TRY(find_nocase(context->guest, *path, "EFI", &efi));
		if (efi && (entry || strcmp(*path, "/boot") != 0))
			*ret_mount_point = xstrdup(*path);
	}
	return NULL;
}

static struct err *find_loader(struct guest *guest, const struct esp *esp, struct guest_boot *boot)
{
	static const struct {
		const char *path;
		enum boot_loader loader;
	} configs[] = {
		{"/boot/grub/grub.cfg", BOOT_LOADER_GRUB2},
		{"/boot/grub2/grub.cfg", BOOT_LOADER_GRUB2},
		{"/boot/loader/loader.conf", BOOT_LOADER_SYSTEMD_BOOT},
		{"/boot/grub/grub.conf", BOOT_LOADER_GRUB_LEGACY},
		{"/boot/grub/menu.lst", BOOT_LOADER_GRUB_LEGACY},
		{"/boot/extlinux/extlinux.conf", BOOT_LOADER_EXTLINUX},
		{"/boot/syslinux/syslinux.cfg", BOOT_LOADER_EXTLINUX},
		{"/boot/extlinux.conf", BOOT_LOADER_EXTLINUX},
		{"/extlinux.conf", BOOT_LOADER_EXTLINUX},
	};

	if (boot->firmware == FIRMWARE_UEFI && esp->grub_config) {
		boot->loader = BOOT_LOADER_GRUB2;
		boot->config = xstrdup(esp->grub_config);
		return NULL;
	}
	if (esp->has_systemd_boot) {
		CLEANUP_FREE char *loader = NULL;
		CLEANUP_FREE char *config = NULL;

		TRY(find_nocase(guest, boot->esp_mount_point, "loader", &loader));
		if (loader)
			TRY(find_nocase(guest, loader, "loader.conf", &config));
		if (config) {
			boot->loader = BOOT_LOADER_SYSTEMD_BOOT;
			boot->config = take_ptr(config);
			return NULL;
		}
	}
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		bool exists;

		TRY(inspect_exists(guest, configs[i].path, &exists));
		if (exists) {
			boot->loader = configs[i].loader;
			boot->config = xstrdup(configs[i].path);
			break;
		}
	}
	return NULL;
}

struct err *inspect_boot(const struct inspect_context *context)
{
	struct guest_boot *boot = &context->inspection->boot;
	CLEANUP(esp_deinit) struct esp esp = {0};

	TRY(find_esp(context, &boot->esp_mount_point));
	if (boot->esp_mount_point)
		TRY(scan_esp(context->guest, boot->esp_mount_point, &esp));
	boot->firmware = esp.has_loader ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	boot->has_fallback_loader = esp.has_fallback;
	TRY(find_loader(context->guest, &esp, boot));
	if (boot->loader == BOOT_LOADER_NONE && boot->firmware == FIRMWARE_BIOS)
		boot->firmware = FIRMWARE_UNKNOWN;
	return NULL;
}
