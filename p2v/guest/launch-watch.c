/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes are found in /proc by their parents, because libguestfs does not
 * say what it starts, and because what it starts may be a script that starts
 * something else: only when all of them are gone does guestfs_launch() return.
 */
#include "p2v/guest/launch-watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"

#define INTERVAL_NS 20000000 /* how long a socket may exist that the guardian does not know */

struct process {
	pid_t pid;
	pid_t parent;
	bool is_ours; /* a descendant of this process that is not older than the watch */
};

struct process_list {
	struct process *items;
	size_t count;
	size_t capacity;
};

struct launch_watch {
	uint64_t deadline_ns;
	struct guardian *guardian;
	struct process_list before;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop; /* under lock */
	bool timed_out; /* the thread's, read after it ended */
	bool knows_socket;
};

DEFINE_CLEANUP(closedir, DIR *, closedir)

static void process_list_deinit(struct process_list *list)
{
	free(list->items);
}

/* proc(5): "pid (name) state parent …"; the name may hold anything, ')' too. */
static bool read_process(const char *pid, struct process *ret_process)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%s/stat", pid);
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	char line[512];
	const char *end;

	if (!file || !fgets(line, sizeof line, file))
		return false;
	end = strrchr(line, ')');
	*ret_process = (struct process){.pid = (pid_t)atoi(pid)};
	return end && sscanf(end + 1, " %*c %d", &ret_process->parent) == 1;
}

static void list_processes(struct process_list *ret_list)
{
	CLEANUP(cleanup_closedir) DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct process process;

		if (!isdigit((unsigned char)entry->d_name[0]) || !read_process(entry->d_name, &process))
			continue;
		array_grow(ret_list->items, ret_list->count, ret_list->capacity);
		ret_list->items[ret_list->count++] = process;
	}
}

static bool list_has(const struct process_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].pid == pid)
			return true;
	}
	return false;
}

/* Marks new children of ours, and their descendants. */
static void mark_ours(const struct launch_watch *watch, struct process_list *list)
{
	bool found = true;

	while (found) {
		found = false;
		for (size_t i = 0; i < list->count; i++) {
			struct process *process = &list->items[i];
			bool is_child =
				process->parent == getpid() && !list_has(&watch->before, process->pid);

			for (size_t k = 0; k < list->count && !is_child; k++)
				is_child = list->items[k].is_ours && list->items[k].pid == process->parent;
			if (is_child && !process->is_ours) {
				process->is_ours = true;
				found = true;
			}
		}
	}
}

/* The socket that libguestfs listens on, by our own descriptors. */
static void find_socket(struct launch_watch *watch)
{
	CLEANUP(cleanup_closedir) DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) && !watch->knows_socket) {
		struct sockaddr_un address = {0};
		socklen_t bytes = sizeof address - 1;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    getsockname(atoi(entry->d_name), (struct sockaddr *)&address, &bytes) ||
		    address.sun_family != AF_UNIX || !str_ends_with(address.sun_path, "/guestfsd.sock"))
			continue;
		guardian_watch_socket(watch->guardian, address.sun_path);
		watch->knows_socket = true;
	}
}

static void look(struct launch_watch *watch)
{
	CLEANUP(process_list_deinit) struct process_list list = {0};

	if (!watch->knows_socket)
		find_socket(watch);
	watch->timed_out = watch->timed_out || run_now_ns() >= watch->deadline_ns;
	if (!watch->timed_out)
		return;
	list_processes(&list);
	mark_ours(watch, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.items[i].is_ours)
			kill(list.items[i].pid, SIGKILL);
	}
}

static void *run_watch(void *arg)
{
	struct launch_watch *watch = arg;

	LOCKED(&watch->lock);
	while (!watch->stop) {
		struct timespec until;

		look(watch);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += INTERVAL_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
	}
	return NULL;
}

static void watch_free(struct launch_watch *watch)
{
	pthread_cond_destroy(&watch->changed);
	pthread_mutex_destroy(&watch->lock);
	process_list_deinit(&watch->before);
	free(watch);
}

struct err *launch_watch_start(uint64_t limit_ns, struct guardian *guardian, struct launch_watch **ret_watch)
{
	struct launch_watch *watch = xcalloc(1, sizeof *watch);
	pthread_condattr_t attributes;
	int errnum;

	watch->deadline_ns = run_now_ns() + limit_ns;
	watch->guardian = guardian;
	list_processes(&watch->before);
	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	errnum = pthread_create(&watch->thread, NULL, run_watch, watch);
	if (errnum) {
		watch_free(watch);
		return err_from_errno(errnum, "starting a thread");
	}
	*ret_watch = watch;
	return NULL;
}

bool launch_watch_stop(struct launch_watch *watch)
{
	bool timed_out;

	pthread_mutex_lock(&watch->lock);
	watch->stop = true;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->lock);
	pthread_join(watch->thread, NULL);
	timed_out = watch->timed_out;
	watch_free(watch);
	return timed_out;
}
