/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How `p2v cutover` speaks with `p2v send --live` on the same machine: a socket named after the job in
 * LIVE_ORDERS_DIR, which only root may enter.  The client sends one word and a newline; what comes back is
 * text for people, and a last line that begins with "done", "state: ", "failed: " (the server goes on) or
 * "frozen: " (it stays so, and whether its copy is complete is not known).
 */
#ifndef P2V_CMD_LIVE_ORDERS_H
#define P2V_CMD_LIVE_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/strv.h"

#define LIVE_ORDERS_DIR "/run/p2v"

enum live_word { LIVE_WORD_NONE, LIVE_WORD_CUTOVER, LIVE_WORD_STATUS, LIVE_WORD_END };

struct live_orders;
/* ERR_REFUSED: another sender has a job of that name here. */
struct err *live_orders_create(const char *dir, const char *job, struct live_orders **ret_orders)
	ERR_MUST_CHECK;
void live_orders_destroy(struct live_orders *orders); /* takes NULL */
/* Waits for an order, up to limit_ns.  Who has given one waits for the answer. */
enum live_word live_orders_wait(struct live_orders *orders, uint64_t limit_ns);
/* Ends what was ordered; nothing happens where nobody waits, or he has gone. */
void live_orders_answer(struct live_orders *orders, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The jobs that have a socket there. */
void live_orders_list(const char *dir, struct strv *ret_jobs);
/* Gives the order, waits for the answer's last line; the caller frees it. */
struct err *live_orders_give(const char *dir, const char *job, enum live_word word, char **ret_answer)
	ERR_MUST_CHECK;

DEFINE_CLEANUP(live_orders, struct live_orders *, live_orders_destroy)
#define CLEANUP_LIVE_ORDERS CLEANUP(cleanup_live_orders)

#endif
