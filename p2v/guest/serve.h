/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Serves a disk image over NBD on a Unix socket, for the appliance and for
 * QEMU: VHDX, VHD and raw by nbdkit with our plugin, other formats by qemu-nbd.
 */
#ifndef P2V_GUEST_SERVE_H
#define P2V_GUEST_SERVE_H

#include <stdbool.h>

#include "p2v/base/err.h"
#include "p2v/base/log.h"

struct server;

struct serve_options {
	const char *file; /* the VHDX that is served */
	/* If set: `file` is still being filled; what it lacks is read from this image (path or NBD URI),
	 * and NBD's cache request fills a range.  See blk_fill_create(). */
	const char *fill_from;
	bool incomplete; /* `file` is being filled by whoever writes to it */
	bool read_only;
	const char *scratch_dir; /* where the socket goes */
	const struct log *log;
};

/* Comes back when the image is open and the server answers. */
struct err *serve_vhdx(const struct serve_options *options, struct server **ret_server) ERR_MUST_CHECK;

/* A foreign format ("qcow2", "vmdk", …), read-only, by qemu-nbd. */
struct err *serve_foreign(const char *path, const char *format, const char *scratch_dir,
			  const struct log *log, struct server **ret_server) ERR_MUST_CHECK;

const char *server_socket(const struct server *server);
const char *server_uri(const struct server *server); /* nbd+unix:///?socket=… */

/* Stops it and waits: an image served for writing is then flushed and closed.  Takes NULL. */
struct err *server_stop(struct server *server) ERR_MUST_CHECK;

#endif
