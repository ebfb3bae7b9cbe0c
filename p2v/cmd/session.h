/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A guest opened for work: its disks served over NBD, one appliance on top, the
 * system inside found, mounted and inspected.  scan, convert and prove all
 * begin with this.
 *
 * Every disk is a VHDX of ours in the working folder, which lacks everything at
 * first and reads from the source what it lacks.  So nothing is copied before
 * it is known that it can work, the source is never written to, and the same
 * file is either filled up and becomes the result, or thrown away.
 */
#ifndef P2V_CMD_SESSION_H
#define P2V_CMD_SESSION_H

#include "p2v/base/scratch.h"
#include "p2v/cmd/source.h"
#include "p2v/guest/appliance.h"
#include "vhdx/vhdx.h"

struct session_disk {
	struct source source;
	char *file; /* the VHDX in the working folder; the source itself if in place */
	struct server *server;
};

struct session {
	struct scratch *run; /* sockets and logs; in a folder with a short name */
	struct session_disk *disks; /* in the order they were named */
	size_t disk_count;
	struct appliance *appliance;
	struct guest *guest; /* the appliance's */
	struct inspection inspection;
	struct machine machine; /* its disks in the order of `disks` */
	size_t boot_disk; /* index of the disk that the machine boots from */
	const struct log *log;
};

#define SESSION_IN_PLACE (1u << 0) /* work on the source itself, which must be one of our formats */

/* Opens sources and serves them; nothing of the guest is looked at yet. */
struct err *session_open(const struct strv *sources, const char *work_dir, unsigned flags,
			 const struct log *log, struct session *ret_session) ERR_MUST_CHECK;

/*
 * For a source that is not there yet.  Disks of ours that are empty at first (size and sectors count), served
 * for writing (server_uri()), and an appliance on them that waits; and, when all of them is filled: the
 * sources that they are filled from, after which it is a session like others, but that nothing is left to
 * copy.
 */
struct err *session_open_empty(const struct vhdx_create_options *disks, size_t count, const char *work_dir,
			       const struct log *log, struct session *ret_session) ERR_MUST_CHECK;
struct err *session_start_appliance(struct session *session) ERR_MUST_CHECK;
struct err *session_set_sources(struct session *session, const struct strv *sources) ERR_MUST_CHECK;

/* Starts the appliance, if it does not run yet, and finds and inspects the system. */
struct err *session_inspect(struct session *session) ERR_MUST_CHECK;

/* Stops the appliance, so that all it wrote is in the images, which stay served. */
struct err *session_release_guest(struct session *session) ERR_MUST_CHECK;

/* Stops serving: the images are closed and durable. */
struct err *session_stop_serving(struct session *session) ERR_MUST_CHECK;

/* Stops all that runs, and frees. */
void session_close(struct session *session);
#define CLEANUP_SESSION CLEANUP(session_close)

#endif
