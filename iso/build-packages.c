/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mmdebstrap downloads, checks signatures and unpacks; its "extract" variant
 * runs none of the packages' scripts, so it takes a minute and no chroot.
 *
 * Left out: other architectures than amd64.
 */
#include "iso/build-packages.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"

#define KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"
#define STAMP "p2v-packages" /* below the folder: names what was unpacked, and exists once all of it was */
#define LOADER "/lib64/ld-linux-x86-64.so.2"

static const char *const always[] = {
	/* clang-format off */
	"linux-image-amd64", "shim-signed", "grub-efi-amd64-signed", "grub-pc-bin", "grub-common",
	"busybox-static", "kmod", "mdadm", "lvm2", "dmsetup", "dropbear-bin", "firmware-linux-free",
	/* clang-format on */
};

/* For network cards and storage adapters of servers. */
static const char *const firmware[] = {
	/* clang-format off */
	"firmware-bnx2", "firmware-bnx2x", "firmware-qlogic", "firmware-netxen", "firmware-cavium",
	"firmware-netronome", "firmware-misc-nonfree", "firmware-myricom", "firmware-realtek",
	/* clang-format on */
};

/* Where a path of a merged system may be in a package that is not. */
static const struct {
	const char *merged, *split;
} places[] = {
	{"/usr/sbin/", "/sbin/"},
	{"/usr/bin/", "/bin/"},
	{"/usr/lib64/", "/lib64/"},
	{"/usr/lib/", "/lib/"},
	{"/", "/"},
};

static char *list_packages(bool with_firmware)
{
	struct text list = {0};

	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		text_addf(&list, "%s%s", i ? "," : "", always[i]);
	for (size_t i = 0; with_firmware && i < sizeof firmware / sizeof *firmware; i++)
		text_addf(&list, ",%s", firmware[i]);
	return text_take(&list);
}

/* The suite's lines of this machine's own apt, and firmware beside them; none if it runs something else. */
static struct err *list_own_mirrors(const struct packages_options *options, struct strv *lines)
{
	static const char *const argv[] = {"apt-get",
					   "indextargets",
					   "--format",
					   "$(CODENAME) deb [signed-by=" KEYRING
					   "] $(REPO_URI) $(RELEASE) main",
					   "Identifier: Packages",
					   "Architecture: amd64",
					   "Origin: Debian",
					   NULL};
	static const char *const archives[] = {"", "-updates", "-security"};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_STRV struct strv found = {0};
	struct run_options run = {.log = options->log};

	TRY(run_argv(argv, &run, &result));
	strv_split(&found, result.out, "\n");
	strv_sort(&found);
	for (size_t i = 0; i < found.count; i++) {
		for (size_t k = 0; k < sizeof archives / sizeof *archives; k++) {
			CLEANUP_FREE char *prefix = xasprintf("%s%s ", options->suite, archives[k]);
			CLEANUP_FREE char *line = NULL;

			if (!str_starts_with(found.items[i], prefix))
				continue;
			line = xasprintf("%s%s", found.items[i] + strlen(prefix),
					 options->firmware ? " non-free-firmware" : "");
			if (!strv_has(lines, line))
				strv_add(lines, line);
		}
	}
	return NULL;
}

/* How this machine's apt gets at its sources: proxies, retries, checks of dates. */
static struct err *add_transport(const struct log *log, struct strv *argv)
{
	static const char *const dump[] = {"apt-config", "dump", "--format", "%F \"%v\";%n", "Acquire", NULL};
	static const char *const kept[] = {"Acquire::http::", "Acquire::https::", "Acquire::Check-",
					   "Acquire::Retries", "Acquire::Queue"};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_STRV struct strv lines = {0};
	struct run_options run = {.log = log};

	TRY(run_argv(dump, &run, &result));
	strv_split(&lines, result.out, "\n");
	for (size_t i = 0; i < lines.count; i++)
		for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
			if (str_starts_with(lines.items[i], kept[k]))
				strv_addf(argv, "--aptopt=%s", lines.items[i]);
	return NULL;
}

static struct err *write_stamp(const char *dir, const char *packages)
{
	CLEANUP_FREE char *path = xasprintf("%s/" STAMP, dir);
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	if (!file || fprintf(file, "%s\n", packages) < 0 || fflush(file))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

struct err *packages_fetch(const struct packages_options *options, const char *dir)
{
	static const char *const fixed[] = {"mmdebstrap",
					    "--quiet",
					    "--mode=root",
					    "--variant=extract",
					    "--format=directory",
					    "--architectures=amd64",
					    "--dpkgopt=path-exclude=/usr/share/doc/*",
					    "--dpkgopt=path-exclude=/usr/share/man/*",
					    "--dpkgopt=path-exclude=/usr/share/locale/*"};
	CLEANUP_FREE char *packages = list_packages(options->firmware);
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_STRV struct strv mirrors = {0};
	struct run_options run = {.log = options->log};

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		strv_add(&argv, fixed[i]);
	TRY(add_transport(options->log, &argv));
	for (size_t i = 0; options->mirrors && i < options->mirrors->count; i++)
		strv_add(&mirrors, options->mirrors->items[i]);
	if (!mirrors.count)
		TRY(list_own_mirrors(options, &mirrors));
	if (options->firmware)
		strv_add(&argv, "--components=main,non-free-firmware");
	strv_addf(&argv, "--include=%s", packages);
	strv_add(&argv, options->suite);
	strv_add(&argv, dir);
	for (size_t i = 0; i < mirrors.count; i++)
		strv_add(&argv, mirrors.items[i]);
	TRY(err_advise(err_wrap(run_argv((const char *const *)argv.items, &run, NULL),
				"fetching packages of %s", options->suite),
		       "see that 'apt-get update' works here, or name another --mirror"));
	return write_stamp(dir, packages);
}

bool packages_are_in(const char *dir)
{
	CLEANUP_FREE char *path = xasprintf("%s/" STAMP, dir);

	return !access(path, F_OK);
}

static struct err *check_stamp(const struct packages_options *options, const char *dir)
{
	CLEANUP_FREE char *path = xasprintf("%s/" STAMP, dir);
	CLEANUP_FREE char *line = NULL;
	CLEANUP_FREE char *list = list_packages(options->firmware);
	CLEANUP_STRV struct strv wanted = {0};
	CLEANUP_STRV struct strv there = {0};
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	size_t size = 0;

	if (!file || getline(&line, &size, file) < 0)
		return err_from_errno(errno, "%s", path);
	strv_split(&there, line, ",\n");
	strv_split(&wanted, list, ",");
	for (size_t i = 0; i < wanted.count; i++)
		if (!strv_has(&there, wanted.items[i]))
			return err_advise(err_refused("%s: package %s is not in it", dir, wanted.items[i]),
					  "remove the folder: it is then filled anew");
	return NULL;
}

static struct err *find_kernel(struct packages *packages)
{
	CLEANUP_FREE char *modules = NULL;
	CLEANUP_FREE char *image = NULL;
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	TRY(packages_find(packages, "/usr/lib/modules", &modules));
	dir = opendir(modules);
	if (!dir)
		return err_from_errno(errno, "%s", modules);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !packages->kernel_release)
			packages->kernel_release = xstrdup(entry->d_name);
	closedir(dir);
	if (!packages->kernel_release)
		return err_failed("%s: there is no kernel", modules);
	image = xasprintf("%s/boot/vmlinuz-%s", packages->dir, packages->kernel_release);
	if (stat(image, &st))
		return err_from_errno(errno, "%s", image);
	packages->epoch = st.st_mtime;
	return NULL;
}

static struct err *take_epoch(struct packages *packages)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	if (!text || !*text)
		return NULL;
	errno = 0;
	packages->epoch = strtoull(text, &end, 10);
	if (errno || *end || packages->epoch > UINT32_MAX)
		return err_advise(err_usage("$SOURCE_DATE_EPOCH: '%s' is no time", text),
				  "it is in seconds since 1970");
	return NULL;
}

struct err *packages_open(const struct packages_options *options, const char *dir,
			  struct packages *ret_packages)
{
	CLEANUP_PACKAGES struct packages packages = {.log = options->log};

	TRY(check_stamp(options, dir));
	packages.dir = realpath(dir, NULL);
	if (!packages.dir)
		return err_from_errno(errno, "%s", dir);
	TRY(find_kernel(&packages));
	TRY(take_epoch(&packages));
	*ret_packages = packages;
	packages = (struct packages){0};
	return NULL;
}

void packages_deinit(struct packages *packages)
{
	free(packages->dir);
	free(packages->kernel_release);
	*packages = (struct packages){0};
}

struct err *packages_find(const struct packages *packages, const char *path, char **ret_path)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const char *ways[] = {places[i].merged, places[i].split};

		if (!str_starts_with(path, places[i].merged))
			continue;
		for (size_t k = 0; k < 2; k++) {
			char *found =
				xasprintf("%s%s%s", packages->dir, ways[k], path + strlen(places[i].merged));

			if (!access(found, F_OK)) {
				*ret_path = found;
				return NULL;
			}
			free(found);
		}
	}
	return err_failed("%s: no %s there", packages->dir, path);
}

/* The loader's words that come before the program's own. */
static struct err *begin_argv(const struct packages *packages, const char *program, bool list,
			      struct strv *argv)
{
	CLEANUP_FREE char *file = NULL;

	TRY(packages_find(packages, program, &file));
	strv_addf(argv, "%s" LOADER, packages->dir);
	strv_add(argv, "--library-path");
	strv_addf(argv, "%1$s/lib/x86_64-linux-gnu:%1$s/usr/lib/x86_64-linux-gnu", packages->dir);
	if (list)
		strv_add(argv, "--list");
	else
		strv_add(argv, "--argv0");
	if (!list)
		strv_add(argv, program);
	strv_add(argv, file);
	return NULL;
}

struct err *packages_run(const struct packages *packages, const char *program, const char *const *arguments,
			 struct run_result *ret_result)
{
	CLEANUP_STRV struct strv argv = {0};
	struct run_options run = {.log = packages->log};

	TRY(begin_argv(packages, program, false, &argv));
	for (; *arguments; arguments++)
		strv_add(&argv, *arguments);
	return err_wrap(run_argv((const char *const *)argv.items, &run, ret_result), "%s", program);
}

/* "	libz.so.1 => /folder/lib/x86_64-linux-gnu/libz.so.1 (0x00007f…)" */
static struct err *take_library(const struct packages *packages, const char *line, struct strv *libraries)
{
	const char *arrow = strstr(line, "=> ");
	const char *path = arrow ? arrow + 3 : NULL;
	const char *end = path ? strstr(path, " (") : NULL;
	CLEANUP_FREE char *inside = NULL;

	if (!end || strstr(line, "/ld-linux"))
		return NULL;
	if (!str_starts_with(path, packages->dir))
		return err_failed("the library %.*s is not in the packages", (int)(end - path), path);
	path += strlen(packages->dir);
	inside = xasprintf("%s%.*s", str_starts_with(path, "/usr/") ? "" : "/usr", (int)(end - path), path);
	if (!strv_has(libraries, inside))
		strv_add(libraries, inside);
	return NULL;
}

struct err *packages_list_libraries(const struct packages *packages, const char *program,
				    struct strv *libraries)
{
	CLEANUP_RUN_RESULT struct run_result result = {0};
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_STRV struct strv lines = {0};
	struct run_options run = {.log = packages->log};

	TRY(begin_argv(packages, program, true, &argv));
	TRY(err_wrap(run_argv((const char *const *)argv.items, &run, &result), "%s", program));
	strv_split(&lines, result.out, "\n");
	for (size_t i = 0; i < lines.count; i++)
		TRY(err_wrap(take_library(packages, lines.items[i], libraries), "%s", program));
	return NULL;
}
