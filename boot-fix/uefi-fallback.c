/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loader that UEFI starts when its NVRAM knows of none, as on a new virtual
 * machine: \EFI\BOOT\BOOTX64.EFI on the EFI system partition (UEFI 2.10,
 * 3.5.1.1), copied from the guest's own installed loader.
 *
 * With shim, what shim starts is put beside it: shim looks for its second stage
 * in the folder it was itself started from.  GRUB then finds its configuration
 * by the prefix that is part of its image (/EFI/debian, or the root file
 * system's UUID).  fbx64.efi is not put there: it would write an NVRAM entry and,
 * on machines with a TPM, reset, for ever where the NVRAM does not last.  Where a
 * distribution has put it there itself, with a shim, that stays.
 *
 * FAT does not tell upper from lower case, and a directory tree does: names are
 * looked up without case.
 */
#include <string.h>

#include "boot-fix/fixes.h"
#include "p2v/base/mem.h"
#include "p2v/guest/path.h"

/* What an architecture's files are called. */
static const struct arch {
	const char *arch; /* as in struct machine_os */
	const char *fallback;
	const char *const *shims; /* "shim.efi": SUSE */
	const char *const *second_stages; /* what they start */
	const char *const *loaders; /* start without shim, best first */
	const char *const *helpers; /* copied along with shim, if there */
	const char *const *chain_helpers; /* beside a shim these make the fallback work as well */
} archs[] = {
	{
		.arch = "x86_64",
		.fallback = "BOOTX64.EFI",
		.shims = (const char *const[]){"shimx64.efi", "shim.efi", NULL},
		.second_stages = (const char *const[]){"grubx64.efi", "grub.efi", NULL},
		.loaders = (const char *const[]){"systemd-bootx64.efi", "grubx64.efi", "grub.efi",
						 "refind_x64.efi", NULL},
		.helpers = (const char *const[]){"mmx64.efi", "MokManager.efi", NULL},
		.chain_helpers = (const char *const[]){"fbx64.efi", "fallback.efi", NULL},
	},
	{
		.arch = "aarch64",
		.fallback = "BOOTAA64.EFI",
		.shims = (const char *const[]){"shimaa64.efi", "shim.efi", NULL},
		.second_stages = (const char *const[]){"grubaa64.efi", "grub.efi", NULL},
		.loaders = (const char *const[]){"systemd-bootaa64.efi", "grubaa64.efi", "grub.efi", NULL},
		.helpers = (const char *const[]){"mmaa64.efi", "MokManager.efi", NULL},
		.chain_helpers = (const char *const[]){"fbaa64.efi", "fallback.efi", NULL},
	},
};

/* The path of `name` in `dir`, whatever its case; NULL if there is none.  `names` are dir's. */
static char *find_name(const char *dir, const struct strv *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcasecmp(names->items[i], name))
			return path_join(dir, names->items[i]);
	return NULL;
}

static char *find_first(const char *dir, const struct strv *names, const char *const *wanted)
{
	char *path = NULL;

	for (; *wanted && !path; wanted++)
		path = find_name(dir, names, *wanted);
	return path;
}

/* The same for a folder; a path is given even if there is none yet. */
static struct err *find_dir(struct plan *plan, const char *parent, const char *name, char **ret_path)
{
	CLEANUP_STRV struct strv names = {0};

	TRY(plan_list(plan, parent, &names));
	*ret_path = find_name(parent, &names, name);
	if (!*ret_path)
		*ret_path = path_join(parent, name);
	return NULL;
}

/* A vendor's folder with a loader in it, which is started by `first`. */
struct vendor {
	char *dir;
	char *first;
	char *second; /* what `first` starts, if that is shim */
	struct strv names;
};

static void vendor_deinit(struct vendor *vendor)
{
	free(vendor->dir);
	free(vendor->first);
	free(vendor->second);
	strv_deinit(&vendor->names);
	*vendor = (struct vendor){0};
}
#define CLEANUP_VENDOR CLEANUP(vendor_deinit)

static struct err *look_into(struct plan *plan, const struct arch *arch, const char *dir,
			     struct vendor *ret_vendor)
{
	CLEANUP_VENDOR struct vendor vendor = {.dir = xstrdup(dir)};

	TRY(plan_list(plan, dir, &vendor.names));
	vendor.first = find_first(dir, &vendor.names, arch->shims);
	vendor.second = find_first(dir, &vendor.names, arch->second_stages);
	if (!vendor.first || !vendor.second) {
		/* shim without what it starts is no loader. */
		free(vendor.first);
		free(vendor.second);
		vendor.second = NULL;
		vendor.first = find_first(dir, &vendor.names, arch->loaders);
	}
	*ret_vendor = vendor;
	vendor = (struct vendor){0};
	return NULL;
}

/* Folders are called after their distribution, mostly by its os-release ID. */
static bool is_own_vendor(const struct inspection *inspection, const char *name)
{
	static const struct {
		const char *id, *dir;
	} aliases[] = {
		{"rhel", "redhat"},
		{"ol", "redhat"},
		{"opensuse-leap", "opensuse"},
		{"opensuse-tumbleweed", "opensuse"},
		{"sles", "sle"},
		{"linuxmint", "ubuntu"},
		{"amzn", "amazon"},
		{"raspbian", "debian"},
	};
	const char *id = inspection->os.id ? inspection->os.id : "";

	if (inspection->boot.loader == BOOT_LOADER_SYSTEMD_BOOT)
		return !strcasecmp(name, "systemd");
	if (!strcasecmp(name, id))
		return true;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (!strcmp(aliases[i].id, id) && !strcasecmp(aliases[i].dir, name))
			return true;
	return false;
}

/* The guest's own folder, else one that no other system owns. */
static struct err *find_vendor(const struct inspection *inspection, struct plan *plan,
			       const struct arch *arch, const char *efi, struct vendor *ret_vendor)
{
	static const char *const not_ours[] = {"BOOT", "Microsoft", NULL};
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_VENDOR struct vendor best = {0};
	bool best_is_own = false;

	TRY(plan_list(plan, efi, &names));
	for (size_t i = 0; i < names.count && !best_is_own; i++) {
		CLEANUP_FREE char *dir = path_join(efi, names.items[i]);
		CLEANUP_VENDOR struct vendor vendor = {0};
		bool is_own = is_own_vendor(inspection, names.items[i]), skip = false;

		for (size_t j = 0; not_ours[j]; j++)
			skip = skip || !strcasecmp(names.items[i], not_ours[j]);
		if (skip)
			continue;
		TRY(look_into(plan, arch, dir, &vendor));
		if (!vendor.first || (best.first && !is_own))
			continue;

		struct vendor swap = best;
		best = vendor;
		vendor = swap;
		best_is_own = is_own;
	}
	*ret_vendor = best;
	best = (struct vendor){0};
	return NULL;
}

static struct err *copy_file(struct plan *plan, const char *from, const char *dir, const char *name,
			     const char *reason)
{
	CLEANUP_FREE char *data = NULL;
	CLEANUP_FREE char *to = path_join(dir, name);
	size_t bytes = 0;

	TRY(plan_read(plan, from, &data, &bytes));
	if (!data)
		return err_failed("%s: gone while it was being looked at", from);
	return plan_write(plan, to, data, bytes, "%s, copied from %s", reason, from);
}

static struct err *install(struct plan *plan, const struct arch *arch, const struct vendor *vendor,
			   const char *boot_dir, const char *name)
{
	TRY(copy_file(plan, vendor->first, boot_dir, name,
		      "the loader for firmware that has no boot entries yet, as a new machine's"));
	if (!vendor->second)
		return NULL;
	TRY(copy_file(plan, vendor->second, boot_dir, path_base(vendor->second),
		      "what shim starts must lie beside it"));
	for (size_t i = 0; arch->helpers[i]; i++) {
		CLEANUP_FREE char *helper = find_name(vendor->dir, &vendor->names, arch->helpers[i]);

		if (helper)
			TRY(copy_file(plan, helper, boot_dir, path_base(helper),
				      "shim's key manager must lie beside it"));
	}
	return NULL;
}

/* True if the guest's shim is the fallback loader but nothing lies beside it that it could start. */
static struct err *is_broken_shim(struct plan *plan, const struct arch *arch, const struct vendor *vendor,
				  const char *fallback, const char *boot_dir, const struct strv *names,
				  bool *ret_broken)
{
	CLEANUP_FREE char *second = find_first(boot_dir, names, arch->second_stages);
	CLEANUP_FREE char *chain = find_first(boot_dir, names, arch->chain_helpers);
	CLEANUP_FREE char *ours = NULL;
	CLEANUP_FREE char *theirs = NULL;
	size_t our_bytes = 0, their_bytes = 0;

	*ret_broken = false;
	if (second || chain || !vendor->second)
		return NULL;
	TRY(plan_read(plan, vendor->first, &ours, &our_bytes));
	TRY(plan_read(plan, fallback, &theirs, &their_bytes));
	*ret_broken = ours && theirs && our_bytes == their_bytes && !memcmp(ours, theirs, our_bytes);
	return NULL;
}

static const struct arch *find_arch(const struct inspection *inspection)
{
	const char *arch = inspection->os.arch ? inspection->os.arch : "x86_64";

	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
		if (!strcmp(archs[i].arch, arch))
			return &archs[i];
	return NULL;
}

static bool applies(const struct fix_context *context)
{
	return context->inspection->boot.esp_mount_point && find_arch(context->inspection);
}

static struct err *plan_uefi_fallback(const struct fix_context *context, struct plan *plan)
{
	const struct inspection *inspection = context->inspection;
	const struct arch *arch = find_arch(inspection);
	CLEANUP_FREE char *efi = NULL;
	CLEANUP_FREE char *boot_dir = NULL;
	CLEANUP_FREE char *fallback = NULL;
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_VENDOR struct vendor vendor = {0};
	bool broken = false;

	TRY(find_dir(plan, inspection->boot.esp_mount_point, "EFI", &efi));
	TRY(find_dir(plan, efi, "BOOT", &boot_dir));
	TRY(plan_list(plan, boot_dir, &names));
	fallback = find_name(boot_dir, &names, arch->fallback);
	TRY(find_vendor(inspection, plan, arch, efi, &vendor));
	if (fallback && vendor.first)
		TRY(is_broken_shim(plan, arch, &vendor, fallback, boot_dir, &names, &broken));
	if (fallback && !broken)
		return NULL;
	if (!vendor.first) {
		if (inspection->boot.firmware == FIRMWARE_UEFI)
			plan_add_finding(
				plan, FINDING_WARNING,
				"the EFI system partition has no \\EFI\\BOOT\\%s and no loader to make "
				"it from: the machine needs a boot entry in its firmware",
				arch->fallback);
		return NULL;
	}
	return install(plan, arch, &vendor, boot_dir, fallback ? path_base(fallback) : arch->fallback);
}

const struct fix fix_uefi_fallback = {
	.name = "boot-fix/uefi-fallback",
	.summary = "a loader where UEFI looks without boot entries",
	.applies = applies,
	.plan = plan_uefi_fallback,
};
