/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other programs.  This is the one place that starts them: an argument vector,
 * never a shell; a time limit; standard error captured for the message.  A
 * child never outlives p2v, not even when p2v is killed by SIGKILL: it gets
 * SIGKILL with the thread that started it.
 */
#ifndef P2V_BASE_RUN_H
#define P2V_BASE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "p2v/base/err.h"
#include "p2v/base/log.h"

#define RUN_ANY_STATUS (1u << 0) /* a non-zero exit is no error: see run_result.status */
#define RUN_TERMINAL \
	(1u << 1) /* standard input is a terminal, which the child gets a session of its own on */

/* Zero-initialised is fine. */
struct run_options {
	unsigned flags;
	uint64_t time_limit_ns; /* 0: none; past it the child is killed and it is an error */
	const void *input; /* standard input, else /dev/null */
	size_t input_bytes;
	const char *const *env; /* NULL-ended "NAME=value" on top of our own */
	const struct log *log; /* debug: the command line */
};

struct run_result {
	int status; /* exit code, or 128 + signal */
	char *out; /* standard output, NUL-terminated, at most 64 MiB */
	size_t out_bytes;
	char *err_text; /* the last 16 KiB of standard error, NUL-terminated */
};

/*
 * Runs argv (NULL-ended; argv[0] is looked up in PATH) to its end.  ret_result may be NULL.  The
 * error names the program, its status and the last line it wrote to standard error; a program that
 * is not installed gives err_errno() == ENOENT.
 */
struct err *run_argv(const char *const *argv, const struct run_options *options,
		     struct run_result *ret_result) ERR_MUST_CHECK;
void run_result_deinit(struct run_result *result);
#define CLEANUP_RUN_RESULT CLEANUP(run_result_deinit)

/* A program in the background; standard output and error go to the file log_path (/dev/null if NULL). */
struct child;
struct err *child_start(const char *const *argv, const char *log_path, const struct run_options *options,
			struct child **ret_child) ERR_MUST_CHECK;

/* The same on descriptors of the caller's for standard input, output and error, each at least 3; they stay
 * his. */
struct err *child_start_on(const char *const *argv, const int stdio[3], const struct run_options *options,
			   struct child **ret_child) ERR_MUST_CHECK;
pid_t child_pid(const struct child *child);

/* Waits up to limit_ns (0: only looks).  Its exit status as in run_result, -1 while it runs. */
int child_wait(struct child *child, uint64_t limit_ns);

/* SIGTERM, SIGKILL after grace_ns, frees.  Takes NULL. */
void child_stop(struct child *child, uint64_t grace_ns);
static inline void cleanup_child(struct child **child)
{
	child_stop(*child, 2000000000);
}
#define CLEANUP_CHILD CLEANUP(cleanup_child)

/* True if the program is found in PATH. */
bool run_is_installed(const char *program);

/* Monotonic clock. */
uint64_t run_now_ns(void);

#endif
