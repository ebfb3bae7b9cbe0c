/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A part of a file as a stream of bytes, unpacked on the way where it is compressed. */
#ifndef INJECT_DRIVERS_STREAM_H
#define INJECT_DRIVERS_STREAM_H

#include <stdint.h>

#include "inject-drivers/compressors.h"
#include "p2v/base/err.h"

struct stream;

/* [start, end) of the file behind fd, which stays the caller's; compressor NULL: as it is.  name is for
 * messages and is copied.  What is wrong with the data is told by stream_read(). */
struct err *stream_open(int fd, const char *name, uint64_t start, uint64_t end,
			const struct compressor *compressor, struct stream **ret_stream) ERR_MUST_CHECK;
void stream_close(struct stream *stream); /* takes NULL */

/* *ret_got is less than bytes only at the end of what can be unpacked. */
struct err *stream_read(struct stream *stream, void *buf, size_t bytes, size_t *ret_got) ERR_MUST_CHECK;

/* How much of the file the unpacker has used: at the end of the stream, where the compressed data end. */
uint64_t stream_consumed_bytes(const struct stream *stream);

DEFINE_CLEANUP(stream, struct stream *, stream_close)
#define CLEANUP_STREAM CLEANUP(cleanup_stream)

#endif
