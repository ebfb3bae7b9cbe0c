/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A real NBD server (nbdkit) for one test, and folders to work in. */
#ifndef TESTS_BASE_LIB_NBD_SERVER_H
#define TESTS_BASE_LIB_NBD_SERVER_H

#include "p2v/base/err.h"

/* A folder under $TMPDIR for one test; remove it with test_dir_remove(). */
char *test_dir_make(void);
void test_dir_remove(char *path); /* frees it, too */
/* DIR/NAME; the caller frees it. */
char *test_path(const char *dir, const char *name);

/* Our plugin as built: $P2V_BUILD/lib/nbdkit-vhdx-plugin.so, NULL if there is none. */
char *test_plugin_path(void);

struct nbd_server;

/*
 * Runs `nbdkit -U SOCKET` with these arguments (NULL-ended: options, plugin, parameters) until it takes
 * connections.  The sanitizer's library goes along where this program has it.
 */
struct err *nbd_server_start(const char *dir, const char *const *args, struct nbd_server **ret_server)
	ERR_MUST_CHECK;
const char *nbd_server_uri(const struct nbd_server *server);
/* What it wrote to standard error so far; the caller frees it. */
char *nbd_server_messages(const struct nbd_server *server);
/* Ends it, and waits until it has closed its files; its clients must be gone.  Takes NULL. */
void nbd_server_stop(struct nbd_server *server);
/* Ends it at once, whatever it is doing. */
void nbd_server_kill(struct nbd_server *server);

#endif
