/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A folder on the host is made to look like the initramfs' module folder with
 * everything in it, old and new, and the host's depmod run over it: it reads
 * modules of any architecture, and writes the binary indexes that all versions
 * of kmod (and module-init-tools 3.4 and later) share.
 *
 * The host's own depmod settings are kept away by an empty configuration.
 */
#include "inject-drivers/module-index.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define TIME_LIMIT_NS (600 * 1000000000ull)

/* What depmod reads beside the modules; the initramfs' own copies of these stay. */
static const char *const inputs[] = {"modules.order", "modules.builtin", "modules.builtin.modinfo", NULL};

static bool is_input(const char *name)
{
	for (size_t i = 0; inputs[i]; i++) {
		if (strcmp(name, inputs[i]) == 0)
			return true;
	}
	return false;
}

/* The old modules go to lib/modules/VERSION/…, wherever they are in the initramfs. */
static char *wants_module(void *arg, const struct initramfs_entry *entry)
{
	const struct kernel *kernel = arg;
	CLEANUP_FREE char *dir = xasprintf("lib/modules/%s/", kernel->guest->version);
	CLEANUP_FREE char *name = module_name_of_file(entry->path);
	const char *path = entry->path;

	if (str_starts_with(path, "usr/"))
		path += strlen("usr/");
	return name && str_starts_with(path, dir) ? xstrdup(path) : NULL;
}

static struct err *make_folders(const char *path)
{
	CLEANUP_FREE char *parent = xstrdup(path);

	for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return err_from_errno(errno, "%s", parent);
		*slash = '/';
	}
	return NULL;
}

/* depmod lists a file that is no module as one that needs nothing. */
static struct err *check_is_module(const char *path, const char *dir, const char *file)
{
	char head[COMPRESSOR_MAGIC_BYTES] = {0};
	CLEANUP_FCLOSE FILE *stream = fopen(path, "re");

	if (!stream)
		return err_from_errno(errno, "%s", path);
	if (fread(head, 1, sizeof head, stream) == sizeof head &&
	    (memcmp(head, ELFMAG, SELFMAG) == 0 || compressor_find(head, sizeof head)))
		return NULL;
	return err_refused("%s/%s is damaged: it is no kernel module", dir, file);
}

static struct err *place_added(const struct kernel *kernel, const char *copies_dir, const char *tree_dir,
			       const char *archive_dir, struct initramfs_changes *changes)
{
	for (size_t i = 0; i < kernel->added_files.count; i++) {
		const char *file = kernel->added_files.items[i];
		CLEANUP_FREE char *from = xasprintf("%s%s/%s", copies_dir, kernel->tree.dir, file);
		CLEANUP_FREE char *to = xasprintf("%s/%s", tree_dir, file);
		CLEANUP_FREE char *path = xasprintf("%s/%s", archive_dir, file);

		TRY(make_folders(to));
		if (rename(from, to) < 0)
			return err_from_errno(errno, "%s", from);
		TRY(check_is_module(to, kernel->tree.dir, file));
		initramfs_changes_add_file(changes, path, to);
	}
	return NULL;
}

static struct err *write_inputs(struct guest *guest, const char *guest_dir, const char *tree_dir)
{
	for (size_t i = 0; inputs[i]; i++) {
		CLEANUP_FREE char *guest_path = xasprintf("%s/%s", guest_dir, inputs[i]);
		CLEANUP_FREE char *path = xasprintf("%s/%s", tree_dir, inputs[i]);
		CLEANUP_FREE char *data = NULL;
		CLEANUP_FCLOSE FILE *file = NULL;
		size_t bytes;

		TRY(guest_read(guest, guest_path, &data, &bytes));
		if (!data)
			continue;
		TRY(make_folders(path));
		file = fopen(path, "we");
		if (!file || fwrite(data, 1, bytes, file) != bytes || fflush(file))
			return err_from_errno(errno, "%s", path);
	}
	return NULL;
}

static struct err *run_depmod(const struct kernel *kernel, const char *work_dir, const struct log *log)
{
	CLEANUP_FREE char *config = xasprintf("%s/depmod.d", work_dir);
	const char *const argv[] = {"depmod", "-b", work_dir, "-C", config, kernel->guest->version, NULL};
	const struct run_options options = {.time_limit_ns = TIME_LIMIT_NS, .log = log};
	struct err *err;

	if (mkdir(config, 0755) < 0)
		return err_from_errno(errno, "%s", config);
	err = run_argv(argv, &options, NULL);
	if (err && err_errno(err) == ENOENT)
		err = err_advise(err, "install kmod on this host");
	return err;
}

static struct err *read_file(const char *path, char **ret_data, size_t *ret_bytes)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	CLEANUP_FREE char *data = NULL;
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0)
		return err_from_errno(errno, "%s", path);
	data = xcalloc(1, (size_t)st.st_size + 1);
	if (fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		return err_from_errno(errno, "%s", path);
	*ret_data = take_ptr(data);
	*ret_bytes = (size_t)st.st_size;
	return NULL;
}

/* The names that a modules.dep lists. */
static void list_names(const char *dep, struct strv *names)
{
	CLEANUP_STRV struct strv lines = {0};

	strv_split(&lines, dep, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_FREE char *name = NULL;

		lines.items[i][strcspn(lines.items[i], ":")] = '\0';
		name = module_name_of_file(lines.items[i]);
		if (name)
			strv_add(names, name);
	}
}

static struct err *check_is_listed(const struct kernel *kernel, const struct strv *listed, const char *name)
{
	if (strv_has(listed, name))
		return NULL;
	return err_refused("%s: this host's depmod cannot list its module %s", kernel->guest->initramfs,
			   name);
}

/* Of what is there, all that was listed before; and all that is new. */
static struct err *check_none_is_lost(const struct kernel *kernel, const char *old_dep, const char *new_dep)
{
	CLEANUP_STRV struct strv old = {0};
	CLEANUP_STRV struct strv listed = {0};

	list_names(old_dep ? old_dep : "", &old);
	list_names(new_dep, &listed);
	for (size_t i = 0; i < old.count; i++) {
		if (strv_has(&kernel->present, old.items[i]))
			TRY(check_is_listed(kernel, &listed, old.items[i]));
	}
	for (size_t i = 0; i < kernel->added_modules.count; i++)
		TRY(check_is_listed(kernel, &listed, kernel->added_modules.items[i]));
	return NULL;
}

DEFINE_CLEANUP(closedir, DIR *, closedir)

/* Takes what depmod wrote, where it differs from what is there. */
static struct err *collect(const struct kernel *kernel, const char *tree_dir, const char *archive_dir,
			   struct initramfs_changes *changes)
{
	CLEANUP(cleanup_closedir) DIR *dir = opendir(tree_dir);
	const struct dirent *dirent;

	if (!dir)
		return err_from_errno(errno, "%s", tree_dir);
	while ((dirent = readdir(dir))) {
		CLEANUP_FREE char *host_path = xasprintf("%s/%s", tree_dir, dirent->d_name);
		CLEANUP_FREE char *path = xasprintf("%s/%s", archive_dir, dirent->d_name);
		const struct initramfs_entry *old = initramfs_find(&kernel->initramfs, path);
		CLEANUP_FREE char *data = NULL;
		size_t bytes = 0;

		if (!str_starts_with(dirent->d_name, "modules.") || is_input(dirent->d_name))
			continue;
		TRY(read_file(host_path, &data, &bytes));
		if (strcmp(dirent->d_name, "modules.dep") == 0)
			TRY(check_none_is_lost(kernel, old ? old->data : NULL, data));
		if (!old || !old->data || old->fields[NEWC_FILE_BYTES] != bytes ||
		    memcmp(old->data, data, bytes) != 0)
			initramfs_changes_add_data(changes, path, data, bytes);
	}
	return NULL;
}

struct err *module_index_merge(const struct kernel *kernel, struct guest *guest, const char *copies_dir,
			       const char *work_dir, const struct log *log, struct initramfs_changes *changes)
{
	CLEANUP_FREE char *archive_dir = initramfs_modules_dir(&kernel->initramfs, kernel->guest->version);
	CLEANUP_FREE char *tree_dir = xasprintf("%s/lib/modules/%s", work_dir, kernel->guest->version);

	TRY(initramfs_extract(&kernel->initramfs, wants_module, (void *)kernel, work_dir));
	TRY(place_added(kernel, copies_dir, tree_dir, archive_dir, changes));
	TRY(write_inputs(guest, kernel->tree.dir, tree_dir));
	TRY(run_depmod(kernel, work_dir, log));
	return collect(kernel, tree_dir, archive_dir, changes);
}
