/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of p2v status. */
#ifndef P2V_CMD_STATUS_H
#define P2V_CMD_STATUS_H

#include "p2v/base/err.h"
#include "p2v/base/json.h"

/* Prints what a sender has said, so that a terminal obeys none of it; takes NULL. */
void status_print_words(const char *words);

/* The machines that have announced themselves to the receiver of that folder: added to the array, or printed
 * if that is NULL. */
struct err *status_list_machines(const char *dir, json_t *ret_array) ERR_MUST_CHECK;

#endif
