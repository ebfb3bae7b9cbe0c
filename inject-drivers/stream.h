/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A part of a file as a stream of bytes, unpacked on the way where it is compressed. */
#ifndef INJECT_DRIVERS_STREAM_H
#define INJECT_DRIVERS_STREAM_H

#include <stdint.h>

#include "inject-drivers/compressors.h"
#include "p2v/base/err.h"

struct stream;

/* [start, end) of the file behind fd, which stays the caller's; compressor NULL: as it is.  name is for
 * messages and is copied. */
struct err *stream_open(int fd, const char *name, uint64_t start, uint64_t end,
			const struct compressor *compressor, struct stream **ret_stream) ERR_MUST_CHECK;
void stream_close(struct stream *stream); /* takes NULL */

/* *ret_got is less than bytes only at the end of what can be unpacked. */
struct err *stream_read(struct stream *stream, void *buf, size_t bytes, size_t *ret_got) ERR_MUST_CHECK;

/* How much of the file the unpacker has used.  At the end of the stream, and after an error that came
 * from what follows the compressed data, that is where the compressed data ends. */
uint64_t stream_consumed_bytes(const struct stream *stream);

DEFINE_CLEANUP(stream, struct stream *, stream_close)
#define CLEANUP_STREAM CLEANUP(cleanup_stream)

#endif
