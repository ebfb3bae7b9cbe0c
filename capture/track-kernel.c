/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where maps can be mapped, which is found by trying, the marks are taken where
 * the programs set them.  Else they are copied, by two generations of them: the
 * one that programs use is exchanged for the other, which is empty.  The kernel
 * returns from such an exchange, of a map in a map, only when every program has
 * ended that may have found the one before (synchronize_rcu(); since 4.20): from
 * then on nobody writes to it, so that it can be read and emptied at leisure, and no
 * mark can come in between.
 *
 * Before kernel 5.11 maps count as locked memory; libbpf raises that limit where
 * it has to.
 */
#include "capture/track-kernel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "p2v/base/mem.h"

#define MINOR_BITS 20

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void track_kernel_hush(void)
{
	libbpf_set_print(say_nothing);
}

static bool can_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "track_probe", sizeof(__u32), TRACK_ELEMENT_BYTES, 1,
				&options);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static struct err *find_map(const struct bpf_object *object, const char *name, struct bpf_map **ret_map)
{
	*ret_map = bpf_object__find_map_by_name(object, name);
	return *ret_map ? NULL : err_failed("the kernel program has no map %s", name);
}

/* Both before the programs are loaded: the first tells the kernel what the others are like. */
static struct err *make_generations(struct track_kernel *kernel, struct bpf_map *generations)
{
	uint32_t elements = kernel->elements + kernel->touched_elements;

	for (int i = 0; i < 2; i++) {
		kernel->generations[i] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "track_marks", sizeof(__u32),
							TRACK_ELEMENT_BYTES, elements, NULL);
		if (kernel->generations[i] < 0)
			return err_from_errno(errno, "a map of %u elements", elements);
	}
	if (bpf_map__set_inner_map_fd(generations, kernel->generations[0]))
		return err_failed("the kernel program has no room for another map");
	return NULL;
}

static struct err *size_cells(struct track_kernel *kernel, struct bpf_map *cells, struct bpf_map *generations)
{
	if (kernel->are_copied)
		TRY(make_generations(kernel, generations));
	if (kernel->are_copied ? bpf_map__set_map_flags(cells, 0)
			       : bpf_map__set_max_entries(cells, kernel->elements))
		return err_failed("the kernel program does not fit these disks");
	return NULL;
}

struct err *track_kernel_configure(struct track_kernel *kernel, struct tracker *tracker,
				   struct bpf_object *object, size_t max_names, struct track_setup *ret_setup)
{
	uint64_t elements = (tracker->cells_bytes + TRACK_ELEMENT_BYTES - 1) / TRACK_ELEMENT_BYTES;
	struct bpf_map *cells, *generations, *counts, *disks;

	kernel->generations[0] = kernel->generations[1] = -1;
	TRY(find_map(object, "cells", &cells));
	TRY(find_map(object, "generations", &generations));
	TRY(find_map(object, "counts", &counts));
	TRY(find_map(object, "disks", &disks));
	if (elements > UINT32_MAX / TRACK_ELEMENT_BYTES)
		return err_refused("the disks are too large for one map");
	kernel->object = object;
	kernel->are_copied = tracker->flags & TRACKER_NO_MMAP || !can_map();
	kernel->processors = libbpf_num_possible_cpus();
	kernel->elements = elements ? elements : 1;
	kernel->touched_elements = (kernel->elements + TRACK_ELEMENT_BYTES - 1) / TRACK_ELEMENT_BYTES;
	TRY(track_values_configure(&kernel->counts, kernel, counts, tracker->disk_count));
	TRY(size_cells(kernel, cells, generations));
	if (bpf_map__set_max_entries(disks, max_names))
		return err_failed("the kernel program does not fit these disks");
	*ret_setup = (struct track_setup){
		.counts_stride = kernel->counts.stride,
		.are_copied = kernel->are_copied,
		.touched_at = (uint64_t)kernel->elements * TRACK_ELEMENT_BYTES,
	};
	tracker->are_marks_copied = kernel->are_copied;
	return NULL;
}

static char *last_line(char *text)
{
	size_t bytes = strlen(text);
	char *line;

	while (bytes && text[bytes - 1] == '\n')
		text[--bytes] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

struct err *track_kernel_load(struct bpf_object_skeleton *skeleton, char *kernel_log, const struct log *log)
{
	errno = -bpf_object__load_skeleton(skeleton);
	if (!errno)
		return NULL;
	log_debug(log, "the kernel: %s", kernel_log);
	return err_from_errno(errno, "the kernel does not take the program%s%s", *kernel_log ? ": " : "",
			      last_line(kernel_log));
}

static struct err *map_cells(struct track_kernel *kernel)
{
	int fd = bpf_object__find_map_fd_by_name(kernel->object, "cells");
	void *memory;

	kernel->cells_bytes = (size_t)kernel->elements * TRACK_ELEMENT_BYTES;
	memory = mmap(NULL, kernel->cells_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return err_from_errno(errno, "mapping the marks");
	kernel->cells = memory;
	return NULL;
}

static int use_generation(struct track_kernel *kernel, unsigned generation)
{
	int fd = bpf_object__find_map_fd_by_name(kernel->object, "generations");
	__u32 current = 0;

	return bpf_map_update_elem(fd, &current, &kernel->generations[generation], BPF_ANY);
}

static struct err *use_first_generation(struct track_kernel *kernel)
{
	kernel->cells_bytes = (size_t)kernel->elements * TRACK_ELEMENT_BYTES;
	kernel->cells = calloc(1, kernel->cells_bytes);
	if (!kernel->cells)
		return err_nomem();
	if (use_generation(kernel, 0))
		return err_from_errno(errno, "the kernel takes no map in a map");
	return NULL;
}

struct err *track_kernel_open(struct track_kernel *kernel)
{
	TRY(track_values_open(&kernel->counts));
	return kernel->are_copied ? use_first_generation(kernel) : map_cells(kernel);
}

void track_kernel_close(struct track_kernel *kernel)
{
	track_values_close(&kernel->counts);
	if (kernel->are_copied) {
		free(kernel->cells);
		for (int i = 0; i < 2; i++)
			if (kernel->generations[i] >= 0)
				close(kernel->generations[i]);
	} else if (kernel->cells) {
		munmap(kernel->cells, kernel->cells_bytes);
	}
}

static __u32 number_of(dev_t number)
{
	return major(number) << MINOR_BITS | minor(number);
}

struct err *track_kernel_name_disk(const struct track_kernel *kernel, const struct tracker *tracker,
				   size_t index, dev_t number)
{
	const struct track_disk *disk = &tracker->disks[index];
	__u32 key = number_of(number);
	struct track_disk_map value = {
		.sectors = disk->size_bytes >> 9,
		.index = index,
		.written = disk->written,
		.discarded = disk->discarded,
	};

	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(kernel->object, "disks"), &key, &value,
				BPF_ANY))
		return err_from_errno(errno, "%s", disk->device);
	return NULL;
}

void track_kernel_forget_name(const struct track_kernel *kernel, dev_t number)
{
	__u32 key = number_of(number);

	bpf_map_delete_elem(bpf_object__find_map_fd_by_name(kernel->object, "disks"), &key);
}

static bool take_out(int fd, uint32_t element, uint64_t words[TRACK_ELEMENT_BYTES / sizeof(uint64_t)])
{
	static const uint8_t nothing[TRACK_ELEMENT_BYTES];

	return !bpf_map_lookup_elem(fd, &element, words) &&
	       !bpf_map_update_elem(fd, &element, nothing, BPF_ANY);
}

static bool take_element(struct track_kernel *kernel, int fd, uint32_t element)
{
	uint64_t words[TRACK_ELEMENT_BYTES / sizeof(uint64_t)];
	uint64_t *into = (uint64_t *)(kernel->cells + (size_t)element * TRACK_ELEMENT_BYTES);

	if (!take_out(fd, element, words))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		into[i] |= words[i];
	return true;
}

/* Of a generation that no program uses. */
static bool take_generation(struct track_kernel *kernel, int fd)
{
	uint64_t words[TRACK_ELEMENT_BYTES / sizeof(uint64_t)];
	const uint8_t *touched = (const uint8_t *)words;

	for (uint32_t i = 0; i < kernel->touched_elements; i++) {
		if (!take_out(fd, kernel->elements + i, words))
			return false;
		for (uint32_t k = 0; k < TRACK_ELEMENT_BYTES; k++)
			if (touched[k] && i * TRACK_ELEMENT_BYTES + k < kernel->elements &&
			    !take_element(kernel, fd, i * TRACK_ELEMENT_BYTES + k))
				return false;
	}
	return true;
}

void track_kernel_drain(struct track_kernel *kernel)
{
	unsigned old = kernel->current;

	if (!kernel->are_copied)
		return;
	if (!use_generation(kernel, !old)) {
		kernel->current = !old;
		if (take_generation(kernel, kernel->generations[old]))
			return;
	}
	kernel->is_lost = true;
}

void track_kernel_look(struct track_kernel *kernel, size_t disk, struct track_counts *ret_seen)
{
	track_values_sum(&kernel->counts, disk, ret_seen);
}

char *track_kernel_find_loss(const struct track_kernel *kernel)
{
	return kernel->is_lost ? xstrdup("the marks in the kernel cannot be read")
			       : track_values_find_loss(&kernel->counts);
}
