/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts.  Each names the kernel, the driver and the target. */
#include "inject-drivers/report.h"

#include "p2v/base/mem.h"

void inject_overrides_deinit(struct inject_overrides *overrides)
{
	for (size_t i = 0; i < overrides->count; i++) {
		free(overrides->items[i].path);
		free(overrides->items[i].data);
		free(overrides->items[i].reason);
	}
	free(overrides->items);
	*overrides = (struct inject_overrides){0};
}

void inject_overrides_add(struct inject_overrides *overrides, const struct inject_override *override)
{
	array_grow(overrides->items, overrides->count, overrides->capacity);
	overrides->items[overrides->count++] = *override;
}

void inject_result_deinit(struct inject_result *result)
{
	for (size_t i = 0; i < result->kernel_count; i++) {
		free(result->kernels[i].version);
		strv_deinit(&result->kernels[i].drivers);
	}
	free(result->kernels);
	*result = (struct inject_result){0};
}

static void add_list(struct text *text, const struct strv *words)
{
	for (size_t i = 0; i < words->count; i++)
		text_addf(text, "%s%s", i ? ", " : "", words->items[i]);
}

char *report_reason(const struct kernel *kernel, uint64_t new_bytes)
{
	CLEANUP_TEXT struct text text = {0};

	if (kernel->added.count) {
		text_addf(&text, "it lacks ");
		add_list(&text, &kernel->added);
		text_addf(&text, " (%zu module files with what they need)", kernel->added_files.count);
	}
	for (size_t i = 0; i < kernel->overrides.count; i++) {
		const struct inject_override *override = &kernel->overrides.items[i];

		text_addf(&text, "%s%s in it %s: %s", text.bytes ? "; " : "", override->path,
			  override->data ? "is written" : "goes", override->reason);
	}
	text_addf(&text, "; %.1f MiB instead of %.1f MiB", (double)new_bytes / (1 << 20),
		  (double)kernel->initramfs.size_bytes / (1 << 20));
	return text_take(&text);
}

/* "it has no driver hv_storvsc", or what is wrong with its initramfs too. */
static void add_cause(struct text *text, const struct kernel *kernel, const struct driver_family *family)
{
	CLEANUP_STRV struct strv lacking = {0};

	kernel_add_lacking(kernel, family, DRIVER_BOOT, &lacking);
	text_addf(text, "%s", kernel->problem ? "it cannot be given " : "it has no driver ");
	add_list(text, &lacking);
	if (kernel->problem || kernel->tree_problem)
		text_addf(text, ": %s", kernel->problem ? kernel->problem : kernel->tree_problem);
}

static struct err *refuse(const struct kernel *kernels, size_t count, const struct driver_family *family)
{
	CLEANUP_TEXT struct text text = {0};
	const char *target = target_name(family->target);
	bool is_damaged = false;

	for (size_t i = 0; i < count; i++) {
		text_addf(&text, "%s%s: ", i ? "; " : "", kernels[i].guest->version);
		add_cause(&text, &kernels[i], family);
		is_damaged |= kernels[i].problem && kernels[i].guest->initramfs;
	}
	if (is_damaged)
		return err_advise(
			err_refused("no kernel of this guest can boot on %s: %s", target, text.data),
			"make a good initramfs on the source ('update-initramfs -u -k all', or "
			"'dracut -f'), and convert again");
	return err_advise(err_refused("no kernel of this guest can boot on %s: %s", target, text.data),
			  "install a kernel with that driver on the source (Ubuntu has it in "
			  "linux-modules-extra-VERSION), or leave %s out of --to",
			  target);
}

struct err *report_check_targets(const struct kernel *kernels, size_t count, unsigned targets)
{
	const struct driver_family *unreachable = NULL;
	unsigned bootable = 0;

	if (!count)
		return err_advise(err_refused("no kernel was found in this guest"),
				  "check that the file system with its /boot is on a disk that was given");
	for (size_t i = 0; i < count; i++)
		bootable |= kernel_bootable_targets(&kernels[i]);
	for (size_t f = 0; driver_families[f] && !unreachable; f++) {
		if (driver_families[f]->target & targets & ~bootable)
			unreachable = driver_families[f];
	}
	if (!unreachable || (targets == TARGET_ALL && bootable))
		return NULL;
	return refuse(kernels, count, unreachable);
}

static void find_in_kernel(const struct kernel *kernel, unsigned targets, struct plan *plan)
{
	const char *version = kernel->guest->version;
	unsigned bootable = kernel_bootable_targets(kernel);

	if (kernel->problem && (bootable & targets) == targets)
		plan_add_finding(plan, FINDING_NOTE, "kernel %s: %s; it can boot without a change", version,
				 kernel->problem);
	for (size_t f = 0; driver_families[f]; f++) {
		const struct driver_family *family = driver_families[f];
		CLEANUP_STRV struct strv lacking = {0};
		CLEANUP_TEXT struct text text = {0};

		if (!(family->target & targets))
			continue;
		if (!(family->target & bootable)) {
			add_cause(&text, kernel, family);
			plan_add_finding(plan, FINDING_WARNING, "kernel %s cannot boot on %s: %s", version,
					 target_name(family->target), text.data);
			continue;
		}
		kernel_add_lacking(kernel, family, DRIVER_WANTED, &lacking);
		if (!lacking.count)
			continue;
		add_list(&text, &lacking);
		plan_add_finding(plan, FINDING_NOTE, "kernel %s has no %s, which %s could use", version,
				 text.data, target_name(family->target));
	}
}

void report_findings(const struct kernel *kernels, size_t count, unsigned targets, struct plan *plan)
{
	for (size_t i = 0; i < count; i++)
		find_in_kernel(&kernels[i], targets, plan);
}

/* Disks must be reached before the root file system is there, cards need not. */
static bool will_have(const struct kernel *kernel, const char *module)
{
	const struct module *info = module_tree_find(&kernel->tree, module);

	return kernel_has_at_boot(kernel, module) ||
	       (info && str_starts_with(info->file, "kernel/drivers/net/"));
}

void report_result(const struct kernel *kernels, size_t count, struct inject_result *ret_result)
{
	ret_result->kernels = xcalloc(count, sizeof *ret_result->kernels);
	ret_result->kernel_count = count;
	for (size_t i = 0; i < count; i++) {
		struct inject_kernel_result *result = &ret_result->kernels[i];

		result->version = xstrdup(kernels[i].guest->version);
		result->bootable_targets = kernel_bootable_targets(&kernels[i]);
		for (size_t f = 0; driver_families[f]; f++) {
			const struct driver_family *family = driver_families[f];

			for (size_t d = 0; d < family->driver_count; d++) {
				for (size_t k = 0; k < DRIVER_ALTERNATIVES && family->drivers[d].modules[k];
				     k++) {
					const char *module = family->drivers[d].modules[k];

					if (will_have(&kernels[i], module) &&
					    !strv_has(&result->drivers, module))
						strv_add(&result->drivers, module);
				}
			}
		}
	}
}
