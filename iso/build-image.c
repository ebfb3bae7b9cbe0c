/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A merged /usr with busybox, a few programs and the libraries they load, the
 * chosen modules with lists of their own, the firmware that these name, and
 * iso/image/.
 *
 * Modules are taken to the byte: their signatures are what lets them load under
 * Secure Boot.
 */
#include "iso/build-image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "iso/build-assets.h"
#include "iso/build-modules.h"
#include "iso/build-tree.h"
#include "p2v/base/mem.h"

struct image {
	const struct packages *packages;
	struct image_tree *tree;
	const char *work_dir;
};

/* With the libraries they load. */
static const char *const programs[] = {
	"/usr/bin/kmod",     "/usr/sbin/mdadm",	   "/usr/sbin/lvm",
	"/usr/sbin/dmsetup", "/usr/sbin/dropbear", "/usr/bin/dropbearkey",
};

static const struct {
	const char *path, *target;
} links[] = {
	{"/bin", "usr/bin"},
	{"/sbin", "usr/sbin"},
	{"/lib", "usr/lib"},
	{"/lib64", "usr/lib64"},
	{"/var/run", "/run"},
	{"/usr/sbin/depmod", "../bin/kmod"},
	{"/usr/sbin/insmod", "../bin/kmod"},
	{"/usr/sbin/lsmod", "../bin/kmod"},
	{"/usr/sbin/modinfo", "../bin/kmod"},
	{"/usr/sbin/modprobe", "../bin/kmod"},
	{"/usr/sbin/rmmod", "../bin/kmod"},
};

static const struct {
	const char *path;
	mode_t mode;
} folders[] = {
	{"/dev", 0755},	 {"/proc", 0555}, {"/sys", 0555},     {"/run", 0755},	  {"/mnt", 0755},
	{"/root", 0700}, {"/tmp", 01777}, {"/var/log", 0755}, {"/var/lib", 0755},
};

static const struct {
	const char *path;
	const char *text;
} texts[] = {
	{"/etc/passwd", "root:*:0:0:root:/root:/bin/sh\n"},
	{"/etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\n"},
	{"/etc/shells", "/bin/sh\n"},
	{"/etc/hosts", "127.0.0.1 localhost p2v\n::1 localhost\n"},
	{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
	{"/etc/profile", "export PATH=/usr/sbin:/usr/bin:/usr/lib/p2v\nexport PS1='p2v:\\w# '\n"},
	/* Whatever asks for it gets arrays that wait with their first write for one from outside. */
	{"/etc/modprobe.d/p2v.conf", "options md_mod start_ro=1\noptions loop max_loop=0\n"},
	/* Nothing here shall start a volume but /usr/lib/p2v/assemble. */
	{"/etc/lvm/lvm.conf", "activation { auto_activation_volume_list = [] monitoring = 0 udev_sync = 0 }\n"
			      "global { event_activation = 0 use_lvmpolld = 0 }\n"},
	{"/etc/mdadm/mdadm.conf", "AUTO -all\n"},
};

static struct err *read_text(const char *path, char **ret_text)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	CLEANUP_TEXT struct text text = {0};
	char buf[65536];
	size_t got;

	if (!file)
		return err_from_errno(errno, "%s", path);
	while ((got = fread(buf, 1, sizeof buf, file)))
		text_add(&text, buf, got);
	if (ferror(file))
		return err_from_errno(errno, "%s", path);
	*ret_text = text_take(&text);
	return NULL;
}

static struct err *add_from_package(const struct image *image, const char *path)
{
	CLEANUP_FREE char *source = NULL;
	struct stat st;

	TRY(packages_find(image->packages, path, &source));
	if (stat(source, &st))
		return err_from_errno(errno, "%s", source);
	image_tree_add_file(image->tree, path, st.st_mode & 0777, source);
	return NULL;
}

static struct err *add_busybox(const struct image *image)
{
	static const char *const list[] = {"--list", NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_STRV struct strv applets = {0};
	CLEANUP_FREE char *busybox = NULL;
	const char *argv[3];
	struct run_options run = {.log = image->packages->log};

	TRY(packages_find(image->packages, "/usr/bin/busybox", &busybox));
	argv[0] = busybox; /* static: it needs no loader */
	argv[1] = list[0];
	argv[2] = NULL;
	TRY(run_argv(argv, &run, &result));
	image_tree_add_file(image->tree, "/usr/bin/busybox", 0755, busybox);
	strv_split(&applets, result.out, "\n");
	for (size_t i = 0; i < applets.count; i++) {
		CLEANUP_FREE char *path = xasprintf("/usr/bin/%s", applets.items[i]);

		image_tree_add_link(image->tree, path, "busybox");
	}
	return NULL;
}

static struct err *add_programs(const struct image *image)
{
	CLEANUP_STRV struct strv libraries = {0};

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		TRY(add_from_package(image, programs[i]));
		TRY(packages_list_libraries(image->packages, programs[i], &libraries));
	}
	for (size_t i = 0; i < libraries.count; i++)
		TRY(add_from_package(image, libraries.items[i]));
	return add_from_package(image, "/usr/lib64/ld-linux-x86-64.so.2");
}

static struct err *make_folders(const char *path, size_t from)
{
	CLEANUP_FREE char *copy = xstrdup(path);

	for (char *slash = strchr(copy + from, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return err_from_errno(errno, "%s", copy);
		*slash = '/';
	}
	return NULL;
}

/* The same file below the folder for depmod, which tells a module's needs by its content. */
static struct err *link_module(const struct image *image, const char *source, const char *name)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/lib/modules/%s/%s", image->work_dir, image->packages->kernel_release, name);

	TRY(make_folders(path, strlen(image->work_dir) + 1));
	if (link(source, path))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

/* modules.dep of all modules; depmod makes it beside them. */
static struct err *choose_modules(const struct image *image, const char *dir, struct strv *ret_files)
{
	const struct packages *packages = image->packages;
	const char *arguments[] = {"-b", packages->dir, packages->kernel_release, NULL};
	CLEANUP_FREE char *dep_file = xasprintf("%s/modules.dep", dir);
	CLEANUP_FREE char *softdep_file = xasprintf("%s/modules.softdep", dir);
	CLEANUP_FREE char *dep = NULL;
	CLEANUP_FREE char *softdep = NULL;

	TRY(packages_run(packages, "/usr/sbin/depmod", arguments, NULL));
	TRY(read_text(dep_file, &dep));
	TRY(read_text(softdep_file, &softdep));
	modules_choose(dep, softdep, ret_files);
	return NULL;
}

static struct err *add_module_lists(const struct image *image)
{
	static const char *const lists[] = {
		"modules.alias.bin",	   "modules.builtin.bin", "modules.builtin.alias.bin",
		"modules.builtin.modinfo", "modules.dep",	  "modules.dep.bin",
		"modules.softdep",	   "modules.symbols.bin", "modules.order",
		"modules.builtin",	   "modules.alias"};
	const char *release = image->packages->kernel_release;
	const char *arguments[] = {"-b", image->work_dir, release, NULL};

	TRY(packages_run(image->packages, "/usr/sbin/depmod", arguments, NULL));
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		CLEANUP_FREE char *source =
			xasprintf("%s/lib/modules/%s/%s", image->work_dir, release, lists[i]);
		CLEANUP_FREE char *path = xasprintf("/usr/lib/modules/%s/%s", release, lists[i]);

		if (!access(source, F_OK))
			image_tree_add_file(image->tree, path, 0644, source);
	}
	return NULL;
}

static struct err *add_modules(const struct image *image, struct strv *ret_sources)
{
	static const char *const kept[] = {"modules.builtin", "modules.builtin.modinfo", "modules.order"};
	const char *release = image->packages->kernel_release;
	CLEANUP_FREE char *system_dir = xasprintf("/usr/lib/modules/%s", release);
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_STRV struct strv files = {0};

	TRY(packages_find(image->packages, system_dir, &dir));
	TRY(choose_modules(image, dir, &files));
	for (size_t i = 0; i < files.count; i++) {
		CLEANUP_FREE char *source = xasprintf("%s/%s", dir, files.items[i]);
		CLEANUP_FREE char *path = xasprintf("%s/%s", system_dir, files.items[i]);

		TRY(link_module(image, source, files.items[i]));
		image_tree_add_file(image->tree, path, 0644, source);
		strv_add(ret_sources, source);
	}
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		CLEANUP_FREE char *source = xasprintf("%s/%s", dir, kept[i]);

		TRY(link_module(image, source, kept[i]));
	}
	log_debug(image->packages->log, "%zu modules", files.count);
	return add_module_lists(image);
}

/* What a module names and no package has is for other hardware, or not free to give away. */
static struct err *add_firmware(const struct image *image, const struct strv *modules)
{
	CLEANUP_STRV struct strv arguments = {0};
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	size_t count = 0;

	strv_add(&arguments, "-F");
	strv_add(&arguments, "firmware");
	for (size_t i = 0; i < modules->count; i++)
		strv_add(&arguments, modules->items[i]);
	TRY(packages_run(image->packages, "/usr/sbin/modinfo", (const char *const *)arguments.items,
			 &result));
	strv_split(&names, result.out, "\n");
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = xasprintf("/usr/lib/firmware/%s", names.items[i]);
		CLEANUP_FREE char *source = NULL;
		struct err *err = packages_find(image->packages, path, &source);

		if (err) {
			log_trace(image->packages->log, "no firmware %s", names.items[i]);
			err_free(err);
			continue;
		}
		image_tree_add_file(image->tree, path, 0644, source);
		count++;
	}
	log_debug(image->packages->log, "%zu of %zu firmware files", count, names.count);
	return NULL;
}

static void add_fixed(const struct image *image)
{
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		image_tree_add_link(image->tree, links[i].path, links[i].target);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		image_tree_add_folder(image->tree, folders[i].path, folders[i].mode);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		image_tree_add_text(image->tree, texts[i].path, 0644, texts[i].text);
	for (const struct asset *script = asset_scripts; script->path; script++)
		image_tree_add_text(image->tree, script->path, 0755, script->text);
	/* The kernel opens it for the first process, before that mounts anything. */
	image_tree_add_device(image->tree, "/dev/console", 0600, makedev(5, 1));
	image_tree_add_device(image->tree, "/dev/null", 0666, makedev(1, 3));
}

struct err *image_write(const struct packages *packages, const char *agent, bool with_firmware,
			const char *work_dir, const char *path)
{
	CLEANUP_IMAGE_TREE struct image_tree *tree = image_tree_create();
	CLEANUP_STRV struct strv modules = {0};
	struct image image = {.packages = packages, .tree = tree, .work_dir = work_dir};

	/* What comes first stays: kmod's programs rather than busybox's. */
	add_fixed(&image);
	TRY(add_programs(&image));
	TRY(add_busybox(&image));
	image_tree_add_file(tree, "/usr/bin/p2v-agent", 0755, agent);
	TRY(add_modules(&image, &modules));
	if (with_firmware)
		TRY(add_firmware(&image, &modules));
	return image_tree_write(tree, path, packages->epoch);
}
