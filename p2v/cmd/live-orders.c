/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One client at a time has the ear of the sender; others wait in the socket's
 * queue until he was answered.  Neither end waits for the other to read: what
 * does not fit into the socket's buffer is of no interest.
 */
#include "p2v/cmd/live-orders.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "p2v/base/mem.h"

#define SUFFIX ".live"
#define NS_PER_MS 1000000ull
#define WORD_BYTES 32
#define HELLO_LIMIT_MS 1000 /* for the word of who has come */

static const char *const words[] = {
	[LIVE_WORD_CUTOVER] = "cutover\n",
	[LIVE_WORD_STATUS] = "status\n",
	[LIVE_WORD_END] = "end\n",
};

struct live_orders {
	char *path;
	int listener, client; /* -1: none */
};

static struct err *make_address(const char *path, struct sockaddr_un *ret_address)
{
	size_t bytes = strlen(path);

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (bytes >= sizeof ret_address->sun_path)
		return err_refused("%s: is too long for a socket", path);
	memcpy(ret_address->sun_path, path, bytes);
	return NULL;
}

static struct err *connect_to(const char *path, int *ret_fd)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	TRY(make_address(path, &address));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
		return err_from_errno(errno, "%s", path);
	*ret_fd = take_fd(&fd);
	return NULL;
}

/* A socket that nobody listens to any more is what a sender that was killed has left. */
static struct err *listen_at(struct live_orders *orders, const char *job)
{
	struct sockaddr_un address;
	CLEANUP_FD int other = -1;
	struct err *err = connect_to(orders->path, &other);

	if (!err)
		return err_advise(err_refused("another sender brings job %s over already", job),
				  "wait for it, or send under another name (--name)");
	err_free(err);
	(void)!unlink(orders->path);
	TRY(make_address(orders->path, &address));
	orders->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (orders->listener < 0 || bind(orders->listener, (struct sockaddr *)&address, sizeof address) ||
	    listen(orders->listener, 8))
		return err_from_errno(errno, "%s", orders->path);
	return NULL;
}

struct err *live_orders_create(const char *dir, const char *job, struct live_orders **ret_orders)
{
	CLEANUP_LIVE_ORDERS struct live_orders *orders = xcalloc(1, sizeof *orders);

	orders->listener = orders->client = -1;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_advise(err_from_errno(errno, "%s", dir), "run it as root");
	orders->path = xasprintf("%s/%s" SUFFIX, dir, job);
	TRY(listen_at(orders, job));
	*ret_orders = take_ptr(orders);
	return NULL;
}

static void drop_client(struct live_orders *orders)
{
	if (orders->client >= 0)
		close(take_fd(&orders->client));
}

void live_orders_destroy(struct live_orders *orders)
{
	if (!orders)
		return;
	drop_client(orders);
	if (orders->listener >= 0) {
		close(orders->listener);
		(void)!unlink(orders->path);
	}
	free(orders->path);
	free(orders);
}

static enum live_word find_word(const char *text)
{
	for (enum live_word i = LIVE_WORD_CUTOVER; i <= LIVE_WORD_END; i++)
		if (!strcmp(text, words[i]))
			return i;
	return LIVE_WORD_NONE;
}

/* Who says nothing, or what we do not know, has gone. */
static enum live_word take_word(struct live_orders *orders)
{
	struct pollfd input = {.fd = orders->client, .events = POLLIN};
	char text[WORD_BYTES + 1] = {0};
	enum live_word word = LIVE_WORD_NONE;

	if (poll(&input, 1, HELLO_LIMIT_MS) == 1 && recv(orders->client, text, WORD_BYTES, 0) > 0)
		word = find_word(text);
	if (!word)
		drop_client(orders);
	return word;
}

enum live_word live_orders_wait(struct live_orders *orders, uint64_t limit_ns)
{
	struct pollfd input = {.fd = orders->listener, .events = POLLIN};

	if (poll(&input, 1, limit_ns / NS_PER_MS) != 1)
		return LIVE_WORD_NONE;
	drop_client(orders);
	orders->client = accept4(orders->listener, NULL, NULL, SOCK_CLOEXEC);
	return orders->client < 0 ? LIVE_WORD_NONE : take_word(orders);
}

void live_orders_answer(struct live_orders *orders, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list args;

	if (orders->client < 0)
		return;
	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	(void)!send(orders->client, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)!send(orders->client, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	drop_client(orders);
}

void live_orders_list(const char *dir, struct strv *ret_jobs)
{
	DIR *folder = opendir(dir);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		size_t bytes = strlen(entry->d_name);

		if (bytes > strlen(SUFFIX) && str_ends_with(entry->d_name, SUFFIX))
			strv_addf(ret_jobs, "%.*s", (int)(bytes - strlen(SUFFIX)), entry->d_name);
	}
	if (folder)
		closedir(folder);
	strv_sort(ret_jobs);
}

struct err *live_orders_give(const char *dir, const char *job, enum live_word word, char **ret_answer)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s" SUFFIX, dir, job);
	CLEANUP_TEXT struct text answer = {0};
	CLEANUP_FD int fd = -1;
	char piece[512];
	ssize_t got;

	TRY(err_advise(err_as(connect_to(path, &fd), ERR_REFUSED),
		       "see that 'p2v send --live' runs, with that --name, and that you are root"));
	if (send(fd, words[word], strlen(words[word]), MSG_NOSIGNAL) < 0)
		return err_from_errno(errno, "%s", path);
	while ((got = recv(fd, piece, sizeof piece, 0)) > 0)
		text_add(&answer, piece, got);
	if (!answer.bytes)
		return err_advise(
			err_failed("the sender of job %s has ended without an answer", job),
			"its own messages, and 'p2v status' at the receiver, tell what became of it");
	answer.data[strcspn(answer.data, "\n")] = '\0';
	*ret_answer = text_take(&answer);
	return NULL;
}
