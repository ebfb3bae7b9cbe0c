/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unified differences: known ones, and patch(1) as judge of random ones in both directions. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/diff.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

static char *diff_of(const char *before, const char *after)
{
	struct diff_text a = {"a/f", before, strlen(before)};
	struct diff_text b = {"b/f", after, strlen(after)};
	struct text text = {0};

	diff_format_unified(&a, &b, &text);
	return text_take(&text);
}

static void known_differences(void **state)
{
	static const struct {
		const char *before, *after, *diff;
	} cases[] = {
		{"", "", ""},
		{"a\nb\n", "a\nb\n", ""},
		{"", "a\n", "--- a/f\n+++ b/f\n@@ -0,0 +1 @@\n+a\n"},
		{"a\n", "", "--- a/f\n+++ b/f\n@@ -1 +0,0 @@\n-a\n"},
		{"a", "a\n", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
		 "--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"},
		/* Six kept lines between: one hunk.  Seven: two. */
		{"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
		 "--- a/f\n+++ b/f\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
		{"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
		 "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n "
		 "7\n-b\n+B\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *diff = diff_of(cases[i].before, cases[i].after);

		assert_string_equal(diff, cases[i].diff);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static char *random_text(uint32_t *seed, unsigned max_lines)
{
	struct text text = {0};
	unsigned count = next_random(seed) % (max_lines + 1);

	for (unsigned i = 0; i < count; i++)
		text_addf(&text, "line %u\n", next_random(seed) % 12);
	if (text.bytes && next_random(seed) % 4 == 0)
		text.data[--text.bytes] = '\0';
	return text_take(&text);
}

/* Runs patch over `from` and compares with `to`. */
static void check_patch(struct tree *tree, const char *diff, const char *from, const char *to,
			const char *flag)
{
	CLEANUP_FREE char *file = tree_host_path(tree, "/f");
	const char *argv[] = {"patch", "-s", "-f", flag, file, NULL};
	struct run_options options = {.input = diff, .input_bytes = strlen(diff)};
	CLEANUP_FREE char *result = NULL;
	size_t bytes;

	tree_add(tree, "/f", from);
	must(run_argv(argv, &options, NULL));
	result = read_host(file, &bytes);
	/* patch removes a file that becomes empty. */
	assert_string_equal(result ? result : "", to);
}

static void patch_accepts_random_differences(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	uint32_t seed = 20250721;

	(void)state;
	if (!run_is_installed("patch"))
		skip();
	for (unsigned i = 0; i < 150; i++) {
		CLEANUP_FREE char *a = random_text(&seed, i % 3 ? 12 : 60);
		CLEANUP_FREE char *b = random_text(&seed, i % 3 ? 12 : 60);
		CLEANUP_FREE char *diff = diff_of(a, b);

		if (!diff[0]) {
			assert_string_equal(a, b);
			continue;
		}
		check_patch(tree, diff, a, b, "-p1");
		check_patch(tree, diff, b, a, "-R");
	}
}

static void large_and_different(void **state)
{
	CLEANUP_TEXT struct text a = {0};
	CLEANUP_TEXT struct text b = {0};
	CLEANUP_FREE char *diff = NULL;
	CLEANUP_TREE struct tree *tree = tree_create(NULL);

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		text_addf(&a, "old %u\n", i);
		text_addf(&b, "new %u\n", i);
	}
	diff = diff_of(a.data, b.data);
	assert_true(str_starts_with(diff, "--- a/f\n+++ b/f\n@@ -1,5000 +1,5000 @@\n-old 0\n"));
	if (run_is_installed("patch"))
		check_patch(tree, diff, a.data, b.data, "-p1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_differences),
		cmocka_unit_test(patch_accepts_random_differences),
		cmocka_unit_test(large_and_different),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
