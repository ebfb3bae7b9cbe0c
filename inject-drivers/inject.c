/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the plan: look at every kernel, refuse what cannot work before any
 * time is spent, write what is lacking, and tell what remains.
 *
 * The guest is asked in few calls: its lists, then all initramfs files, then
 * all module files that are needed.
 *
 * The old initramfs is kept beside the new one as p2v-old-NAME.  A suffix would
 * not do: GRUB's scripts, update-initramfs and others look for names that begin
 * with initrd or initramfs, and update-initramfs has plans of its own for .bak.
 */
#include "inject-drivers/inject.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inject-drivers/kernel-rewrite.h"
#include "inject-drivers/report.h"
#include "inject-drivers/setting.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"
#include "p2v/base/run.h"

#define LIST_MAX_BYTES (64u << 20)
/* initramfs-tools before 0.132 does not touch a file whose SHA-1 is not the one noted here. */
#define CHECKSUM_DIR "/var/lib/initramfs-tools"

struct work {
	const struct inject_context *context;
	struct plan *plan;
	char *dir; /* on the host, ours */
	struct kernel *kernels;
	size_t kernel_count;
};

static void work_deinit(struct work *work)
{
	for (size_t i = 0; i < work->kernel_count; i++)
		kernel_deinit(&work->kernels[i]);
	free(work->kernels);
	if (work->dir)
		(void)remove_tree(work->dir);
	free(work->dir);
}

static struct err *make_work_dir(struct work *work)
{
	char *dir = xasprintf("%s/inject.XXXXXX", work->context->scratch_dir);

	if (!mkdtemp(dir)) {
		struct err *err = err_from_errno(errno, "%s", dir);

		free(dir);
		return err;
	}
	work->dir = dir;
	return NULL;
}

static struct err *fetch_lists(const struct work *work)
{
	const struct inspection *inspection = work->context->inspection;
	CLEANUP_STRV struct strv paths = {0};

	for (size_t i = 0; i < inspection->kernel_count; i++) {
		for (size_t k = 0; inspection->kernels[i].modules_dir && module_tree_files[k]; k++)
			strv_addf(&paths, "%s/%s", inspection->kernels[i].modules_dir, module_tree_files[k]);
	}
	for (size_t i = 0; setting_files[i]; i++)
		strv_add(&paths, setting_files[i]);
	strv_add(&paths, CHECKSUM_DIR);
	return guest_fetch(work->context->guest, (const char *const *)paths.items, LIST_MAX_BYTES);
}

/* Another kernel before this one that boots with the same file. */
static const struct guest_kernel *find_sharer(const struct work *work, const struct guest_kernel *kernel)
{
	for (size_t i = 0; i < work->context->inspection->kernel_count; i++) {
		const struct guest_kernel *other = &work->context->inspection->kernels[i];

		if (other == kernel)
			break;
		if (other->initramfs && strcmp(other->initramfs, kernel->initramfs) == 0)
			return other;
	}
	return NULL;
}

/* NULL if the kernel's initramfs can be copied out, else why not. */
static struct err *find_problem(const struct work *work, const struct guest_kernel *kernel,
				char **ret_problem)
{
	const struct guest_kernel *sharer;
	struct guest_stat stat;

	*ret_problem = NULL;
	if (!kernel->initramfs) {
		*ret_problem = xstrdup("it has no initramfs");
		return NULL;
	}
	sharer = find_sharer(work, kernel);
	if (sharer) {
		*ret_problem = xasprintf("it shares %s with kernel %s", kernel->initramfs, sharer->version);
		return NULL;
	}
	TRY(guest_stat(work->context->guest, kernel->initramfs, &stat));
	if (stat.kind != GUEST_FILE)
		*ret_problem = xasprintf("%s is not a file", kernel->initramfs);
	return NULL;
}

static struct err *read_kernels(struct work *work)
{
	const struct inspection *inspection = work->context->inspection;
	CLEANUP_FREE char *copies_dir = xasprintf("%s/initramfs", work->dir);
	CLEANUP_STRV struct strv paths = {0};
	CLEANUP_STRV struct strv problems = {0}; /* "" for none */

	for (size_t i = 0; i < inspection->kernel_count; i++) {
		CLEANUP_FREE char *problem = NULL;

		TRY(find_problem(work, &inspection->kernels[i], &problem));
		strv_add(&problems, problem ? problem : "");
		if (!problem)
			strv_add(&paths, inspection->kernels[i].initramfs);
	}
	if (mkdir(copies_dir, 0700) < 0)
		return err_from_errno(errno, "%s", copies_dir);
	TRY(guest_copy_out(work->context->guest, &paths, copies_dir));
	work->kernels = xcalloc(inspection->kernel_count, sizeof *work->kernels);
	for (size_t i = 0; i < inspection->kernel_count; i++) {
		const struct guest_kernel *kernel = &inspection->kernels[i];
		bool has_copy = !problems.items[i][0];
		CLEANUP_FREE char *host_file =
			has_copy ? xasprintf("%s%s", copies_dir, kernel->initramfs) : NULL;

		TRY(kernel_read(work->context->guest, kernel, host_file, &work->kernels[i]));
		work->kernel_count++;
		if (!has_copy)
			kernel_give_up(&work->kernels[i], problems.items[i]);
	}
	return NULL;
}

/* Asks about every entry that counts, then for new files; what is there already is no change. */
static struct err *find_overrides(const struct inject_context *context, struct kernel *kernel)
{
	CLEANUP_INJECT_OVERRIDES struct inject_overrides added = {0};

	if (!context->override_file)
		return NULL;
	for (size_t i = 0; i < kernel->initramfs.entry_count; i++) {
		const struct initramfs_entry *entry = &kernel->initramfs.entries[i];

		if (entry->data && !strstr(entry->path, "lib/modules/") &&
		    initramfs_find(&kernel->initramfs, entry->path) == entry)
			TRY(context->override_file(context->override_arg, entry->path, entry->data,
						   entry->fields[NEWC_FILE_BYTES], &kernel->overrides));
	}
	TRY(context->override_file(context->override_arg, NULL, NULL, 0, &added));
	for (size_t i = 0; i < added.count; i++) {
		const struct initramfs_entry *entry = initramfs_find(&kernel->initramfs, added.items[i].path);

		if (entry && entry->data && entry->fields[NEWC_FILE_BYTES] == added.items[i].bytes &&
		    memcmp(entry->data, added.items[i].data, added.items[i].bytes) == 0)
			continue;
		inject_overrides_add(&kernel->overrides, &added.items[i]);
		added.items[i] = (struct inject_override){0};
	}
	return NULL;
}

static bool needs_override(const struct kernel *kernel)
{
	for (size_t i = 0; i < kernel->overrides.count; i++) {
		if (kernel->overrides.items[i].is_needed)
			return true;
	}
	return false;
}

static struct err *choose_changes(struct work *work)
{
	for (size_t i = 0; i < work->kernel_count; i++) {
		struct kernel *kernel = &work->kernels[i];

		if (kernel->problem)
			continue;
		TRY(find_overrides(work->context, kernel));
		kernel_choose_drivers(kernel, work->context->targets, needs_override(kernel));
		if (!kernel->added_files.count && !needs_override(kernel))
			inject_overrides_deinit(&kernel->overrides); /* they alone are not worth it */
	}
	return NULL;
}

/* Lists the module files to copy; a kernel that has not all it claims to have is given up. */
static struct err *list_copies(struct work *work, struct strv *paths)
{
	for (size_t i = 0; i < work->kernel_count; i++) {
		struct kernel *kernel = &work->kernels[i];
		CLEANUP_STRV struct strv files = {0};

		for (size_t k = 0; k < kernel->added_files.count; k++)
			strv_addf(&files, "%s/%s", kernel->tree.dir, kernel->added_files.items[k]);
		for (size_t k = 0; k < files.count && !kernel->problem; k++) {
			struct guest_stat stat;
			CLEANUP_FREE char *problem = NULL;

			TRY(guest_stat(work->context->guest, files.items[k], &stat));
			if (stat.kind == GUEST_FILE)
				continue;
			problem = xasprintf("modules.dep lists %s, which is not there", files.items[k]);
			kernel_give_up(kernel, problem);
		}
		for (size_t k = 0; k < files.count && !kernel->problem; k++)
			strv_add(paths, files.items[k]);
	}
	return NULL;
}

/* "sha1sum FILE" as initramfs-tools notes it, where it does. */
static struct err *plan_checksum(const struct work *work, const struct kernel *kernel, const char *file)
{
	const char *const argv[] = {"sha1sum", file, NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_FREE char *path = xasprintf(CHECKSUM_DIR "/%s", kernel->guest->version);
	CLEANUP_FREE char *old = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t bytes;

	TRY(plan_read(work->plan, path, &old, &bytes));
	if (!old || strspn(old, "0123456789abcdef") != 40)
		return NULL;
	TRY(run_argv(argv, &(struct run_options){.log = work->context->log}, &result));
	text = xasprintf("%.40s%s", result.out, old + 40);
	return plan_write(work->plan, path, text, strlen(text),
			  "update-initramfs would take the new initramfs for one of someone else's");
}

static struct err *write_kernel(struct work *work, struct kernel *kernel, size_t index)
{
	const struct inject_context *context = work->context;
	CLEANUP_FREE char *copies_dir = xasprintf("%s/modules", work->dir);
	CLEANUP_FREE char *work_dir = xasprintf("%s/work", work->dir);
	/* Beside our folder: the plan keeps it. */
	CLEANUP_FREE char *file = xasprintf("%s.initramfs-%zu", work->dir, index);
	const char *name = strrchr(kernel->guest->initramfs, '/') + 1;
	CLEANUP_FREE char *backup = xasprintf("%.*sp2v-old-%s", (int)(name - kernel->guest->initramfs),
					      kernel->guest->initramfs, name);
	CLEANUP_FREE char *reason = NULL;
	struct guest_stat stat;
	uint64_t bytes;
	struct err *err;

	log_info(context->log, "writing %s anew", kernel->guest->initramfs);
	err = kernel_rewrite(kernel, context->targets, context->guest, copies_dir, work_dir, context->log,
			     file, &bytes);
	if (err && err_kind(err) == ERR_REFUSED) {
		kernel_give_up(kernel, err_message(err));
		err_free(err);
		return NULL;
	}
	if (err)
		return err_wrap(err, "%s", kernel->guest->initramfs);
	reason = report_reason(kernel, bytes);
	/* The original is what is worth keeping, not what an earlier run made of it. */
	TRY(plan_stat(work->plan, backup, &stat));
	TRY(plan_upload(work->plan, kernel->guest->initramfs, file,
			stat.kind == GUEST_MISSING ? backup : NULL, "%s", reason));
	return plan_checksum(work, kernel, file);
}

static struct err *write_all(struct work *work)
{
	CLEANUP_FREE char *copies_dir = xasprintf("%s/modules", work->dir);
	CLEANUP_STRV struct strv paths = {0};

	TRY(list_copies(work, &paths));
	if (mkdir(copies_dir, 0700) < 0)
		return err_from_errno(errno, "%s", copies_dir);
	TRY(guest_copy_out(work->context->guest, &paths, copies_dir));
	for (size_t i = 0; i < work->kernel_count; i++) {
		struct kernel *kernel = &work->kernels[i];

		if (kernel->added_files.count || kernel->overrides.count)
			TRY(write_kernel(work, kernel, i));
	}
	return NULL;
}

static struct err *plan_setting(const struct work *work)
{
	CLEANUP_STRV struct strv modules = {0};

	for (size_t i = 0; i < work->kernel_count; i++)
		kernel_add_setting(&work->kernels[i], work->context->targets, &modules);
	return setting_plan(work->context->inspection->initramfs_tool, &modules, work->plan);
}

struct err *inject_plan(const struct inject_context *context, struct plan *plan,
			struct inject_result *ret_result)
{
	CLEANUP(work_deinit) struct work work = {.context = context, .plan = plan};

	plan_set_author(plan, "inject-drivers");
	TRY(make_work_dir(&work));
	TRY(fetch_lists(&work));
	TRY(read_kernels(&work));
	TRY(choose_changes(&work));
	TRY(report_check_targets(work.kernels, work.kernel_count, context->targets));
	TRY(write_all(&work));
	TRY(report_check_targets(work.kernels, work.kernel_count, context->targets));
	TRY(plan_setting(&work));
	report_findings(work.kernels, work.kernel_count, context->targets, plan);
	report_result(work.kernels, work.kernel_count, ret_result);
	return NULL;
}
