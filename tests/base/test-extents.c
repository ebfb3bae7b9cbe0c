/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/extents.h"

#define MODEL_BYTES 200

/* Random sets, each beside a model of one flag a byte. */
struct pair {
	struct extents set;
	bool model[MODEL_BYTES];
};

static void check_invariant(const struct extents *set)
{
	for (size_t i = 0; i < set->count; i++) {
		assert_true(set->ranges[i].start < set->ranges[i].end);
		if (i)
			assert_true(set->ranges[i - 1].end < set->ranges[i].start);
	}
}

static void check_equal(const struct extents *set, const bool *model)
{
	uint64_t total = 0;

	check_invariant(set);
	for (unsigned i = 0; i < MODEL_BYTES; i++) {
		size_t found = extents_find(set, i);
		bool in_set = found < set->count && set->ranges[found].start <= i;

		assert_int_equal(in_set, model[i]);
		assert_int_equal(extents_contain(set, i, i + 1), model[i]);
		total += model[i];
	}
	assert_int_equal(extents_total_bytes(set), total);
}

static void change_at_random(struct pair *pair)
{
	unsigned start = rand() % MODEL_BYTES, end = start + rand() % (MODEL_BYTES / 8);
	bool add = rand() % 3;

	if (end > MODEL_BYTES)
		end = MODEL_BYTES;
	if (add)
		extents_add(&pair->set, start, end);
	else
		extents_remove(&pair->set, start, end);
	for (unsigned i = start; i < end; i++)
		pair->model[i] = add;
	check_equal(&pair->set, pair->model);
}

static void check_combinations(const struct pair *a, const struct pair *b)
{
	CLEANUP_EXTENTS struct extents both = {0}, only_a = {0}, either = {0};
	bool in_both[MODEL_BYTES], in_a[MODEL_BYTES], in_either[MODEL_BYTES];

	for (unsigned i = 0; i < MODEL_BYTES; i++) {
		in_both[i] = a->model[i] && b->model[i];
		in_a[i] = a->model[i] && !b->model[i];
		in_either[i] = a->model[i] || b->model[i];
	}
	extents_intersect(&a->set, &b->set, &both);
	extents_subtract(&a->set, &b->set, &only_a);
	check_equal(&both, in_both);
	check_equal(&only_a, in_a);
	extents_unite(&either, &a->set);
	extents_unite(&either, &b->set);
	check_equal(&either, in_either);
}

static void check_alignment(const struct pair *pair)
{
	CLEANUP_EXTENTS struct extents aligned = {0};
	bool model[MODEL_BYTES] = {false};

	for (size_t i = 0; i < pair->set.count; i++)
		extents_add(&aligned, pair->set.ranges[i].start, pair->set.ranges[i].end);
	extents_align(&aligned, 8);
	for (unsigned i = 0; i < MODEL_BYTES; i++)
		if (pair->model[i])
			memset(model + i / 8 * 8, 1, 8);
	check_equal(&aligned, model);
}

static void test_random_operations(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		struct pair a = {0}, b = {0};

		srand(seed);
		for (unsigned step = 0; step < 40; step++) {
			change_at_random(&a);
			change_at_random(&b);
			check_combinations(&a, &b);
			check_alignment(&a);
		}
		extents_deinit(&a.set);
		extents_deinit(&b.set);
	}
}

static void test_edges(void **state)
{
	CLEANUP_EXTENTS struct extents set = {0};

	(void)state;
	extents_add(&set, 5, 5);
	assert_int_equal(set.count, 0);
	assert_true(extents_contain(&set, 9, 9));
	extents_add(&set, UINT64_MAX - 10, UINT64_MAX);
	extents_add(&set, 0, 1);
	assert_int_equal(set.count, 2);
	assert_int_equal(extents_find(&set, UINT64_MAX), 2);
	extents_remove(&set, 0, UINT64_MAX);
	assert_int_equal(set.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
