/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tiers whose programs run in the kernel share: loading these, and the
 * maps of track-mark.bpf.h, which are mapped where the kernel can (5.5) and may,
 * and else copied.
 */
#ifndef CAPTURE_TRACK_KERNEL_H
#define CAPTURE_TRACK_KERNEL_H

#include <bpf/libbpf.h>

#include "capture/track-impl.h"

/* A map of values that are of 64-bit words, which each processor has for itself. */
struct track_values {
	const struct bpf_map *map;
	uint32_t stride; /* from one processor's to the next one's; 0: not mapped */
	unsigned processors, words;
	uint64_t *memory; /* the mapping, or room for one value of each processor */
	size_t bytes;
	bool is_lost; /* they could not be read */
};

struct track_kernel {
	struct bpf_object *object; /* the tier's */
	bool are_copied;
	unsigned processors;
	struct track_values counts;
	uint8_t *cells;
	size_t cells_bytes;
	/* Only where they are copied. */
	uint32_t elements, touched_elements;
	int generations[2];
	unsigned current;
	bool is_lost; /* they could not be copied */
};

/* Libbpf prints nothing from now on. */
void track_kernel_hush(void);
/* Before the programs are loaded: sizes, and what they have to know.  max_names: of disks' numbers. */
struct err *track_kernel_configure(struct track_kernel *kernel, struct tracker *tracker,
				   struct bpf_object *object, size_t max_names, struct track_setup *ret_setup)
	ERR_MUST_CHECK;
/* kernel_log: what it was opened with. */
struct err *track_kernel_load(struct bpf_object_skeleton *skeleton, char *kernel_log, const struct log *log)
	ERR_MUST_CHECK;
/* Behind that; programs may then be attached. */
struct err *track_kernel_open(struct track_kernel *kernel) ERR_MUST_CHECK;
void track_kernel_close(struct track_kernel *kernel); /* also if it was not opened */

/* Requests to the device of that number are to the disk. */
struct err *track_kernel_name_disk(const struct track_kernel *kernel, const struct tracker *tracker,
				   size_t disk, dev_t number) ERR_MUST_CHECK;
void track_kernel_forget_name(const struct track_kernel *kernel, dev_t number);

/* A tier's drain(), look() and find_loss(). */
void track_kernel_drain(struct track_kernel *kernel);
void track_kernel_look(struct track_kernel *kernel, size_t disk, struct track_counts *ret_seen);
char *track_kernel_find_loss(const struct track_kernel *kernel);

/* Likewise of another map of such values, `count` for each processor. */
struct err *track_values_configure(struct track_values *values, const struct track_kernel *kernel,
				   struct bpf_map *map, uint32_t count) ERR_MUST_CHECK;
struct err *track_values_open(struct track_values *values) ERR_MUST_CHECK;
void track_values_close(struct track_values *values);
/* Of all processors.  What cannot be read is 0 and remembered, as a loss of find_loss(). */
void track_values_sum(struct track_values *values, uint32_t index, void *ret_sums);
char *track_values_find_loss(const struct track_values *values);

#endif
