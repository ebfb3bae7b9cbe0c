/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where this user's p2v keeps what is expensive to find out again; nothing depends on it. */
#ifndef P2V_GUEST_USER_CACHE_H
#define P2V_GUEST_USER_CACHE_H

/* $XDG_CACHE_HOME/p2v or ~/.cache/p2v, made if need be; NULL if there is none that can be written.  The
 * caller frees it. */
char *user_cache_dir(void);

#endif
