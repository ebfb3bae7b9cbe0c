/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counters in the kernel.  Mapped they are one run of values, the processor's
 * index first; copied, the map has each processor's values apart, and the kernel
 * copies word by word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "capture/track-kernel.h"
#include "p2v/base/mem.h"

struct err *track_values_configure(struct track_values *values, const struct track_kernel *kernel,
				   struct bpf_map *map, uint32_t count)
{
	int failed;

	*values = (struct track_values){
		.map = map,
		.stride = kernel->are_copied ? 0 : count,
		.processors = kernel->processors,
		.words = bpf_map__value_size(map) / sizeof(uint64_t),
	};
	if (kernel->are_copied)
		failed = bpf_map__set_type(map, BPF_MAP_TYPE_PERCPU_ARRAY) ||
			 bpf_map__set_map_flags(map, 0) || bpf_map__set_max_entries(map, count);
	else
		failed = bpf_map__set_max_entries(map, count * kernel->processors);
	return failed ? err_failed("the kernel program does not fit these disks") : NULL;
}

struct err *track_values_open(struct track_values *values)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory;

	values->bytes = (size_t)values->processors * values->words * sizeof(uint64_t);
	if (!values->stride) {
		values->memory = xmalloc(values->bytes);
		return NULL;
	}
	values->bytes = (values->bytes * values->stride + page - 1) / page * page;
	memory = mmap(NULL, values->bytes, PROT_READ, MAP_SHARED, bpf_map__fd(values->map), 0);
	if (memory == MAP_FAILED)
		return err_from_errno(errno, "mapping %s", bpf_map__name(values->map));
	values->memory = memory;
	return NULL;
}

void track_values_close(struct track_values *values)
{
	if (values->memory && values->stride)
		munmap(values->memory, values->bytes);
	else
		free(values->memory);
	values->memory = NULL;
}

void track_values_sum(struct track_values *values, uint32_t index, void *ret_sums)
{
	size_t step = (size_t)(values->stride ? values->stride : 1) * values->words;
	const uint64_t *words = values->memory + (values->stride ? index * values->words : 0);
	uint64_t *sums = ret_sums;

	memset(sums, 0, values->words * sizeof *sums);
	if (!values->stride && bpf_map_lookup_elem(bpf_map__fd(values->map), &index, values->memory)) {
		values->is_lost = true;
		return;
	}
	for (unsigned processor = 0; processor < values->processors; processor++, words += step)
		for (unsigned i = 0; i < values->words; i++)
			sums[i] += __atomic_load_n(&words[i], __ATOMIC_ACQUIRE);
}

char *track_values_find_loss(const struct track_values *values)
{
	return values->is_lost ? xstrdup("the counters in the kernel cannot be read") : NULL;
}
