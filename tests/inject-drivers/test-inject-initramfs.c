/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading an initramfs and writing it anew: a real one, in every packing and
 * layout, compared with what the distribution's own tools make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject-drivers/initramfs.h"
#include "inject-drivers/rewrite.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "tests/base/lib-must.h"
#include "tests/inject-drivers/lib-initramfs.h"

struct fixture {
	struct tree *tree; /* only for its temporary folder */
	char *early;
	char *main;
};

static int set_up(void **state)
{
	CLEANUP_FREE char *version = host_kernel_version();
	struct fixture *f = xcalloc(1, sizeof *f);

	*state = f;
	f->tree = tree_create(NULL);
	if (!version)
		return 0;
	f->early = initramfs_part(version, "early.cpio");
	f->main = initramfs_part(version, "small.cpio");
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	tree_destroy(f->tree);
	free(f->early);
	free(f->main);
	free(f);
	return 0;
}

static char *temporary(const struct fixture *f, const char *name)
{
	return tree_host_path(f->tree, name);
}

static struct initramfs *read_ok(const char *path)
{
	struct initramfs *initramfs = xcalloc(1, sizeof *initramfs);

	must(initramfs_read(path, path, initramfs));
	return initramfs;
}

static void free_initramfs(struct initramfs **initramfs)
{
	if (*initramfs)
		initramfs_deinit(*initramfs);
	free(*initramfs);
}
#define CLEANUP_READ CLEANUP(free_initramfs)

/* The same entries as `cpio -t` lists, for every packing, alone and behind an early archive. */
static void every_packing(void **state)
{
	const struct fixture *f = *state;
	CLEANUP_FREE char *names = NULL;

	if (!f->main)
		skip();
	names = shell("cpio --quiet -t <%s", f->main);
	for (const struct packing *p = packings; p->name; p++) {
		static const char *const layouts[] = {"", "cat '%s';", "cat '%s'; head -c 1000 /dev/zero;"};

		for (size_t k = 0; has_program(p->name) && k < sizeof layouts / sizeof *layouts; k++) {
			CLEANUP_FREE char *path = temporary(f, "/packed");
			CLEANUP_FREE char *front = k ? xasprintf(layouts[k], f->early) : xstrdup("");
			CLEANUP_READ struct initramfs *initramfs = NULL;
			CLEANUP_TEXT struct text listed = {0};

			free(shell("{ %s %s <'%s'; head -c 4096 /dev/zero; } >'%s'", front, p->command,
				   f->main, path));
			initramfs = read_ok(path);
			assert_int_equal(initramfs->segment_count, k ? 2 : 1);
			assert_int_equal(initramfs->segments[k ? 1 : 0].archive_count, 1);
			for (size_t i = 0; i < initramfs->entry_count; i++) {
				if (initramfs->entries[i].segment == (k ? 1 : 0))
					text_addf(&listed, "%s\n", initramfs->entries[i].path);
			}
			assert_string_equal(listed.data, names);
		}
	}
}

/* Members of one compressor, and raw archives, one after the other. */
static void several_archives(void **state)
{
	const struct fixture *f = *state;
	CLEANUP_FREE char *path = temporary(f, "/several");
	CLEANUP_READ struct initramfs *one = NULL;
	CLEANUP_READ struct initramfs *many = NULL;

	if (!f->main)
		skip();
	one = read_ok(f->early);
	free(shell("e='%s' o='%s'; cat $e $e >$o; gzip -nc <$e >>$o; gzip -nc <$e >>$o;"
		   " head -c 516 /dev/zero >>$o; bzip2 -c <$e >>$o; zstd -qc <$e >>$o;"
		   " head -c 3 /dev/zero >>$o; xz --format=lzma -c <$e >>$o; truncate -s %%4 $o; cat $e >>$o",
		   f->early, path));
	many = read_ok(path);
	assert_int_equal(many->segment_count, 7);
	assert_int_equal(many->entry_count, one->entry_count * 8);
	assert_null(many->segments[0].compressor);
	assert_string_equal(many->segments[2].compressor->name, "gzip");
	assert_int_equal(many->segments[2].archive_count, 2);
	assert_string_equal(many->segments[3].compressor->name, "bzip2");
	assert_string_equal(many->segments[4].compressor->name, "zstd");
	assert_string_equal(many->segments[5].compressor->name, "lzma");
	assert_null(many->segments[6].compressor);
	/* Up to the zeros that cpio fills a block with. */
	assert_in_range(many->segments[6].end, many->size_bytes - 511, many->size_bytes);
	assert_ptr_equal(initramfs_find(many, "kernel/x86/microcode/GenuineIntel.bin"),
			 &many->entries[many->entry_count - 1]);
}

static void damaged(void **state)
{
	static const struct {
		const char *command; /* $m: small.cpio, $e: early.cpio */
		const char *text;
	} cases[] = {
		{"true", "holds no files"},
		{"head -c 4096 /dev/zero", "holds no files"},
		{"echo nonsense", "what begins at byte 0 is neither"},
		{"printf '\\x04\\x22\\x4d\\x18'; head -c 100 $m", "what begins at byte 0 is neither"},
		{"head -c 100000 $m", "ends in the middle of an entry"},
		{"head -c 100 $m", "ends in the middle of an entry"},
		{"head -c 111 $m; head -c 4096 /dev/zero", "no cpio header at byte 112"},
		{"gzip -c <$m | head -c 100000", "the gzip data cannot be unpacked"},
		{"bzip2 -c <$m | head -c 150000", "the bzip2 data cannot be unpacked"},
		{"xz --check=crc32 -1 -c <$m | head -c 100000", "the xz data cannot be unpacked"},
		{"zstd -qc <$m | head -c 100000", "the zstd data cannot be unpacked"},
		{"lz4 -lqc <$m | head -c 100000", "the lz4 data cannot be unpacked"},
		{"head -c 100000 $m | gzip -c", "ends in the middle of an entry"},
		{"cat tests/inject-drivers/*.c | gzip -c", "no cpio header at byte 0"},
		{"gzip -c </dev/null", "hold no archive"},
		{"gzip -c <$m; echo junk", "is neither a cpio archive"},
		{"gzip -c <$e; printf 'x'; cat $e", "is neither a cpio archive"},
		{"lz4 -lqc <$e; cat $e", "something follows its LZ4 data"},
		{"zstd -qc <$e | head -c 5000", "the zstd data cannot be unpacked"},
		{"lz4 -lqc <$e | head -c 5000", "the lz4 data cannot be unpacked"},
		{"printf '\\0'; cat $e", "an uncompressed archive begins at byte 1"},
		{"{ printf '\\0'; cat $e; } | gzip -c", "a cpio header at byte 1 of"},
		{"sed 's/^070701/070707/' <$e", "what begins at byte 0 is neither"},
		{"{ head -c 94 $e; printf FFFFFFFF; tail -c +103 $e; }", "name is 4294967295 bytes long"},
		{"{ head -c 94 $e; printf 00000000; tail -c +103 $e; }", "name is 0 bytes long"},
		{"{ head -c 94 $e; printf 0000000x; tail -c +103 $e; }", "a damaged cpio header at byte 0"},
		{"{ head -c 54 $e; printf FFFFFFFF; tail -c +63 $e; }", "ends in the middle of an entry"},
	};
	const struct fixture *f = *state;
	CLEANUP_FREE char *path = temporary(f, "/damaged");

	if (!f->main)
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct initramfs initramfs = {0};
		struct err *err;

		free(shell("set +o pipefail; m='%s' e='%s'; { %s; } 2>/dev/null >'%s'", f->main, f->early,
			   cases[i].command, path));
		err = initramfs_read(path, "/boot/initrd", &initramfs);
		if (!err)
			fail_msg("accepted: %s", cases[i].command);
		if (!str_starts_with(err_message(err), "/boot/initrd: "))
			fail_msg("does not name the file: %s", err_message(err));
		must_fail_as(err, ERR_REFUSED, cases[i].text);
	}
}

static char *rewrite_ok(const struct fixture *f, const char *path, const struct initramfs_changes *changes)
{
	CLEANUP_READ struct initramfs *old = read_ok(path);
	CLEANUP_FREE char *work = shell("mktemp -d '%s/work.XXXXXX' | tr -d '\\n'", f->tree->root);
	char *file = xasprintf("%s/new", work);

	must(initramfs_rewrite(old, changes, work, NULL, file));
	return file;
}

static void add_sample_changes(struct initramfs_changes *changes, const char *host_file)
{
	initramfs_changes_add_file(changes, "usr/lib/modules/1/new/folder/module.ko", host_file);
	initramfs_changes_add_data(changes, "conf/modules", "changed\n", 8);
	initramfs_changes_add_data(changes, "conf/empty", "", 0);
	initramfs_changes_add_removal(changes, "conf/arch.conf");
	initramfs_changes_add_removal(changes, "etc/not-there");
}

/* The entries that are not ours keep every attribute and their order; ours are there. */
static void compare_entries(const struct initramfs *old, const struct initramfs *new)
{
	static const char *const added[] = {"usr/lib/modules/1", "usr/lib/modules/1/new",
					    "usr/lib/modules/1/new/folder",
					    "usr/lib/modules/1/new/folder/module.ko", "conf/empty"};
	CLEANUP_FREE char *before = initramfs_listing(old);
	CLEANUP_FREE char *after = initramfs_listing(new);
	CLEANUP_STRV struct strv lines = {0};
	CLEANUP_STRV struct strv expected = {0};

	strv_split(&lines, after, "\n");
	strv_split(&expected, before, "\n");
	for (size_t i = 0, k = 0; i < expected.count; i++) {
		if (str_starts_with(expected.items[i], "conf/arch.conf "))
			continue;
		assert_true(k < lines.count);
		if (!str_starts_with(expected.items[i], "conf/modules "))
			assert_string_equal(lines.items[k], expected.items[i]);
		k++;
	}
	assert_int_equal(new->entry_count, old->entry_count - 1 + sizeof added / sizeof *added);
	for (size_t i = 0; i < sizeof added / sizeof *added; i++)
		assert_ptr_equal(initramfs_find(new, added[i]), &new->entries[old->entry_count - 1 + i]);
	assert_null(initramfs_find(new, "conf/arch.conf"));
	assert_string_equal(initramfs_find(new, "conf/modules")->data, "changed\n");
	assert_int_equal(initramfs_find(new, "conf/modules")->fields[NEWC_MTIME],
			 initramfs_find(old, "conf/modules")->fields[NEWC_MTIME]);
}

/* Unpacked by cpio, old and new differ in the changes alone. */
static void compare_unpacked(const struct fixture *f, const struct packing *p, const char *old_path,
			     const char *new_path)
{
	CLEANUP_READ struct initramfs *old = read_ok(old_path);
	CLEANUP_READ struct initramfs *new = read_ok(new_path);
	CLEANUP_FREE char *differences = NULL;
	uint64_t start = old->segments[old->segment_count - 1].start;

	assert_int_equal(new->segments[new->segment_count - 1].start, start);
	free(shell("cmp -n %llu '%s' '%s'", (unsigned long long)start, old_path, new_path));
	differences = shell("cd '%s'; rm -rf a b; mkdir a b; for x in 'a %s' 'b %s'; do set -- $x;"
			    " tail -c +%llu $2 | %s 2>/dev/null | (cd $1 && cpio --quiet -id); done;"
			    " diff -rq --no-dereference a b | LC_ALL=C sort || true",
			    f->tree->root, old_path, new_path, (unsigned long long)start + 1, p->unpack);
	assert_string_equal(differences, "Files a/conf/modules and b/conf/modules differ\n"
					 "Only in a/conf: arch.conf\n"
					 "Only in b/conf: empty\n"
					 "Only in b/usr/lib/modules: 1\n");
}

static void rewriting(void **state)
{
	const struct fixture *f = *state;

	if (!f->main)
		skip();
	for (const struct packing *p = packings; p->name; p++) {
		CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};
		CLEANUP_FREE char *path = temporary(f, "/old");
		CLEANUP_FREE char *new_path = NULL;
		CLEANUP_READ struct initramfs *old = NULL;
		CLEANUP_READ struct initramfs *new = NULL;

		if (!has_program(p->name))
			continue;
		free(shell("{ cat '%s'; %s <'%s'; } >'%s'", f->early, p->command, f->main, path));
		add_sample_changes(&changes, f->early);
		new_path = rewrite_ok(f, path, &changes);
		old = read_ok(path);
		new = read_ok(new_path);
		assert_ptr_equal(new->segments[1].compressor, old->segments[1].compressor);
		compare_entries(old, new);
		compare_unpacked(f, p, path, new_path);
	}
}

/* What Debian's own tools list of the result. */
static void listed_by_lsinitramfs(void **state)
{
	const struct fixture *f = *state;

	if (!f->main || !run_is_installed("lsinitramfs"))
		skip();
	for (const struct packing *p = packings; p->name; p++) {
		CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};
		CLEANUP_FREE char *path = temporary(f, "/listed");
		CLEANUP_FREE char *new_path = NULL;
		CLEANUP_FREE char *differences = NULL;

		/* lsinitramfs itself cannot read lzma, and takes an uncompressed archive for an early one. */
		if (strcmp(p->name, "lzma") == 0 || strcmp(p->name, "none") == 0 || !has_program(p->name))
			continue;
		free(shell("{ cat '%s'; %s <'%s'; } >'%s'", f->early, p->command, f->main, path));
		add_sample_changes(&changes, f->early);
		new_path = rewrite_ok(f, path, &changes);
		differences = shell("diff <(lsinitramfs '%s') <(lsinitramfs '%s') | grep '^[<>]' || true",
				    path, new_path);
		assert_string_equal(differences, "< conf/arch.conf\n"
						 "> usr/lib/modules/1\n"
						 "> usr/lib/modules/1/new\n"
						 "> usr/lib/modules/1/new/folder\n"
						 "> usr/lib/modules/1/new/folder/module.ko\n"
						 "> conf/empty\n");
	}
}

/* Device nodes, links, odd names and owners, hard links of which one is replaced or removed. */
static void special_entries(void **state)
{
	static const struct {
		const char *removed;
		const char *replaced;
	} cases[] = {{"etc/a", NULL}, {"etc/c", NULL}, {NULL, "etc/b"}, {NULL, "etc/c"}, {"etc/c", "etc/b"}};
	const struct fixture *f = *state;

	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};
		const char *removed = cases[i / 2].removed, *replaced = cases[i / 2].replaced;
		CLEANUP_FREE char *path = temporary(f, "/special");
		CLEANUP_FREE char *new_path = NULL;
		CLEANUP_FREE char *content = NULL;
		CLEANUP_TEXT struct text expected = {0};

		free(shell("cd '%s'; rm -rf in; mkdir -p in/etc in/dev; cd in; mknod dev/null c 1 3;"
			   " mknod dev/p p; ln -s ../x etc/link; echo same >etc/a; ln etc/a etc/b;"
			   " ln etc/a etc/c; echo other >etc/d; ln etc/d etc/e; chown 7:8 etc/d; chmod 4711 "
			   "etc/d;"
			   " touch 'TRAILER!!!x' 'new\nline'; find . -print0 | LC_ALL=C sort -z |"
			   " cpio --quiet -0 -o -H %s | gzip >'%s'",
			   f->tree->root, i % 2 ? "crc" : "newc", path));
		if (removed)
			initramfs_changes_add_removal(&changes, removed);
		if (replaced)
			initramfs_changes_add_data(&changes, replaced, "new\n", 4);
		new_path = rewrite_ok(f, path, &changes);
		content = shell("cd '%s'; rm -rf out; mkdir out; cd out;"
				" gzip -dc <'%s' | cpio --quiet -id --no-absolute-filenames 2>&1; stat -c "
				"'%%n %%F %%t:%%T %%a %%u:%%g %%h' dev/* "
				"etc/* TRAIL* new*; cat etc/[a-c]; cat etc/d etc/e",
				f->tree->root, new_path);
		text_addf(&expected, "dev/null character special file 1:3 644 0:0 1\n"
				     "dev/p fifo 0:0 644 0:0 1\n");
		for (char c = 'a'; c <= 'c'; c++) {
			CLEANUP_FREE char *name = xasprintf("etc/%c", c);
			int others = 3 - (removed != NULL) - (replaced != NULL);

			if (!removed || strcmp(removed, name) != 0)
				text_addf(&expected, "%s regular file 0:0 644 0:0 %d\n", name,
					  replaced && strcmp(replaced, name) == 0 ? 1 : others);
		}
		text_addf(&expected, "etc/d regular file 0:0 4711 7:8 2\netc/e regular file 0:0 4711 7:8 2\n"
				     "etc/link symbolic link 0:0 777 0:0 1\n"
				     "TRAILER!!!x regular empty file 0:0 644 0:0 1\n"
				     "new\nline regular empty file 0:0 644 0:0 1\n");
		for (char c = 'a'; c <= 'c'; c++) {
			CLEANUP_FREE char *name = xasprintf("etc/%c", c);

			if (removed && strcmp(removed, name) == 0)
				continue;
			text_addf(&expected, "%s\n",
				  replaced && strcmp(replaced, name) == 0 ? "new" : "same");
		}
		text_addf(&expected, "other\nother\n");
		assert_string_equal(content, expected.data);
	}
}

/* Additions belong to the last archive of all. */
static void additions_come_last(void **state)
{
	const struct fixture *f = *state;
	CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};
	CLEANUP_FREE char *path = temporary(f, "/two");
	CLEANUP_FREE char *new_path = NULL;
	CLEANUP_READ struct initramfs *new = NULL;

	if (!f->early)
		skip();
	free(shell("{ gzip -nc <'%s'; gzip -nc <'%s'; } >'%s'", f->early, f->early, path));
	initramfs_changes_add_data(&changes, "added", "x", 1);
	new_path = rewrite_ok(f, path, &changes);
	new = read_ok(new_path);
	assert_int_equal(new->segments[0].archive_count, 2);
	assert_string_equal(new->entries[new->entry_count - 1].path, "added");
	assert_int_equal(new->entries[new->entry_count - 1].archive, 1);
}

static void impossible_changes(void **state)
{
	static const struct {
		const char *path;
		bool is_removal;
		const char *text;
	} cases[] = {
		{"kernel/x86/microcode/GenuineIntel.bin", true, "it lies in an early archive"},
		{"etc", true, "it is not a regular file"},
		{"etc/mtab", false, "it is not a regular file"},
	};
	const struct fixture *f = *state;
	CLEANUP_FREE char *path = temporary(f, "/impossible");
	CLEANUP_FREE char *out = temporary(f, "/impossible-out");
	CLEANUP_READ struct initramfs *initramfs = NULL;

	if (!f->main)
		skip();
	free(shell("{ cat '%s'; gzip -1 <'%s'; } >'%s'", f->early, f->main, path));
	initramfs = read_ok(path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};

		if (cases[i].is_removal)
			initramfs_changes_add_removal(&changes, cases[i].path);
		else
			initramfs_changes_add_data(&changes, cases[i].path, "x", 1);
		must_fail_as(initramfs_rewrite(initramfs, &changes, f->tree->root, NULL, out), ERR_REFUSED,
			     cases[i].text);
		assert_int_not_equal(access(out, F_OK), 0);
	}
}

static char *wants_climbing(void *arg, const struct initramfs_entry *entry)
{
	(void)arg;
	return xstrdup(entry->path);
}

static void climbing_name(void **state)
{
	const struct fixture *f = *state;
	CLEANUP_FREE char *path = temporary(f, "/climbing");
	CLEANUP_READ struct initramfs *initramfs = NULL;

	free(shell("cd '%s'; mkdir -p c/d; echo x >c/up; cd c/d; echo ../up | cpio --quiet -o -H newc >'%s'",
		   f->tree->root, path));
	initramfs = read_ok(path);
	must_fail_as(initramfs_extract(initramfs, wants_climbing, NULL, f->tree->root), ERR_REFUSED,
		     "an entry is named ../up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packing),
		cmocka_unit_test(several_archives),
		cmocka_unit_test(damaged),
		cmocka_unit_test(rewriting),
		cmocka_unit_test(listed_by_lsinitramfs),
		cmocka_unit_test(special_entries),
		cmocka_unit_test(additions_come_last),
		cmocka_unit_test(impossible_changes),
		cmocka_unit_test(climbing_name),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
