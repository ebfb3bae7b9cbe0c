/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * We freeze, and mark each step on a board that we share with the dead man's
 * process (p2v/base/guardian.h), so that it knows what to thaw at any moment.
 *
 * Who comes first where both act at once:
 *
 * - We mark a file system as being frozen before we ask the kernel, and look
 *   afterwards whether the time is over.  The dead man's process first marks that
 *   it is, then looks at ours.  So at least one of the two thaws.
 * - Whether it is for good the dead man's process decides alone: it either thaws,
 *   and says that it was too late, or ends.
 * - Freezing itself may take long.  Until the kernel is done with it it cannot be
 *   thawed: so the dead man's process tries until we have let go of all of them.
 *
 * That a file system is frozen still the kernel tells by refusing to freeze it
 * again.  Leaves out who else might want to hold it: the kernel counts no holders
 * among programs.
 */
#include "capture/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "p2v/base/guardian.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define NS_PER_MS 1000000ull
#define RETRY_MS 10 /* of thawing, until we have noticed */

enum state {
	STATE_THAWED,
	STATE_CHANGING, /* being frozen: may be, or become, frozen */
	STATE_FROZEN,
	STATE_UNABLE, /* its kind cannot be */
};

struct system {
	int fd; /* of the mount point, the same in both processes */
	_Atomic enum state state;
};

struct board {
	_Atomic uint64_t deadline_ns; /* 0: none */
	atomic_bool expired; /* it was over, and everything was thawed */
	size_t count;
	struct system systems[]; /* in the order in which they are frozen */
};

struct freeze {
	struct board *board;
	size_t board_bytes;
	struct strv points;
	uint64_t limit_ns;
	struct guardian *dead_man; /* has ended if it is for good */
	bool is_kept; /* they are frozen for good */
};

/* What we tell the dead man's process, which answers with the same, or with WORD_EXPIRED. */
enum word { WORD_ARM = 'A', WORD_DISARM = 'D', WORD_KEEP = 'K', WORD_EXPIRED = 'E' };

/*
 * The dead man's process.
 */

static bool thaw_those(struct board *board, enum state state)
{
	bool any = false;

	for (size_t i = board->count; i--;) {
		if (board->systems[i].state != state)
			continue;
		any = true;
		(void)!ioctl(board->systems[i].fd, FITHAW, 0);
	}
	return any;
}

/* Those last that may make us wait; whether there were any. */
static bool thaw_all(struct board *board)
{
	bool any = thaw_those(board, STATE_FROZEN);

	return thaw_those(board, STATE_CHANGING) || any;
}

/* How long to wait for a word: -1 for ever. */
static int time_left_ms(struct board *board)
{
	uint64_t deadline_ns = board->deadline_ns, now_ns = run_now_ns();

	if (!deadline_ns)
		return -1;
	if (now_ns < deadline_ns)
		return (deadline_ns - now_ns) / NS_PER_MS + 1;
	board->expired = true;
	return thaw_all(board) ? RETRY_MS : -1;
}

/* Whether it goes on. */
static bool obey(int socket, struct board *board, char word)
{
	bool ends = word == WORD_KEEP && !board->expired;

	if (word == WORD_KEEP && board->expired)
		word = WORD_EXPIRED;
	(void)!send(socket, &word, 1, MSG_NOSIGNAL);
	return !ends;
}

static void watch(int socket, void *arg)
{
	struct board *board = arg;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* Who gets rid of processes for want of memory is to spare this one. */
	if (fd >= 0)
		(void)!write(fd, "-1000", 5);
	(void)!mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	for (;;) {
		struct pollfd input = {.fd = socket, .events = POLLIN};
		ssize_t got;
		char word;

		if (poll(&input, 1, time_left_ms(board)) <= 0)
			continue;
		got = recv(socket, &word, 1, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			break;
		if (!obey(socket, board, word))
			return;
	}
	thaw_all(board);
}

/*
 * We.
 */

static struct err *dead_man_gone(void)
{
	return err_advise(
		err_failed("the process that thaws the file systems should we end has itself ended"),
		"see in the kernel's log what ended it, and run the same command again");
}

static struct err *too_late(const struct freeze *freeze)
{
	return err_advise(err_failed("the file systems were frozen for more than %.1f s, and were thawed",
				     freeze->limit_ns / 1e9),
			  "allow a longer --max-freeze, or cut over when less is left to send");
}

static struct err *tell(const struct freeze *freeze, char word)
{
	int socket = guardian_socket(freeze->dead_man);
	char answer;
	ssize_t got;

	(void)!send(socket, &word, 1, MSG_NOSIGNAL);
	do
		got = recv(socket, &answer, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		return dead_man_gone();
	return answer == word ? NULL : too_late(freeze);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The descriptors are above those of standard input, output and error, whatever the caller has closed. */
static struct err *open_points(struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->points.count; i++) {
		const char *point = freeze->points.items[i];
		CLEANUP_FD int fd = open(point, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0)
			freeze->board->systems[i].fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (freeze->board->systems[i].fd < 0)
			return err_advise(err_from_errno(errno, "%s", point), "run it as root");
	}
	return NULL;
}

static struct err *start_dead_man(struct freeze *freeze)
{
	struct board *board = freeze->board;
	CLEANUP_FREE int *keep = xcalloc(board->count + 1, sizeof *keep);
	const struct guardian_charge charge = {"p2v-thaw", watch, board, keep, board->count};

	for (size_t i = 0; i < board->count; i++)
		keep[i] = board->systems[i].fd;
	qsort(keep, board->count, sizeof *keep, compare_fds);
	return guardian_fork(&charge, &freeze->dead_man);
}

struct err *freeze_create(const struct strv *points, uint64_t limit_ns, struct freeze **ret_freeze)
{
	CLEANUP_FREEZE struct freeze *freeze = xcalloc(1, sizeof *freeze);
	size_t bytes = sizeof *freeze->board + points->count * sizeof *freeze->board->systems;
	struct board *board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return err_nomem();
	freeze->board = board;
	freeze->board_bytes = bytes;
	freeze->limit_ns = limit_ns;
	for (size_t i = 0; i < points->count; i++) {
		strv_add(&freeze->points, points->items[i]);
		board->systems[i].fd = -1;
	}
	board->count = points->count;
	TRY(open_points(freeze));
	TRY(start_dead_man(freeze));
	*ret_freeze = take_ptr(freeze);
	return NULL;
}

void freeze_destroy(struct freeze *freeze)
{
	if (!freeze)
		return;
	if (freeze->dead_man) {
		freeze_release(freeze);
		guardian_let_go(freeze->dead_man);
	}
	for (size_t i = 0; freeze->board && i < freeze->board->count; i++)
		if (freeze->board->systems[i].fd >= 0)
			close(freeze->board->systems[i].fd);
	if (freeze->board)
		munmap(freeze->board, freeze->board_bytes);
	strv_deinit(&freeze->points);
	free(freeze);
}

struct err *freeze_flush(struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->board->count; i++)
		if (syncfs(freeze->board->systems[i].fd))
			return err_from_errno(errno, "%s", freeze->points.items[i]);
	return NULL;
}

/* Pages that would have to come back from a disk may wait for what we hold. */
static struct err *lock_memory(void)
{
	if (!mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return NULL;
	/* Before Linux 4.4. */
	if (errno == EINVAL && !mlockall(MCL_CURRENT | MCL_FUTURE))
		return NULL;
	return err_advise(err_as(err_from_errno(errno, "our memory cannot be locked"), ERR_REFUSED),
			  "run it as root");
}

static struct err *hold_one(struct freeze *freeze, size_t number)
{
	struct system *system = &freeze->board->systems[number];
	const char *point = freeze->points.items[number];
	int errnum;

	system->state = STATE_CHANGING;
	if (!ioctl(system->fd, FIFREEZE, 0)) {
		system->state = STATE_FROZEN;
		return freeze->board->expired ? too_late(freeze) : NULL;
	}
	errnum = errno;
	system->state = errnum == EOPNOTSUPP ? STATE_UNABLE : STATE_THAWED;
	if (errnum == EOPNOTSUPP)
		return syncfs(system->fd) ? err_from_errno(errno, "%s: write out", point) : NULL;
	if (errnum == EBUSY)
		return err_advise(err_refused("%s: is held frozen by somebody else", point),
				  "wait for the backup or snapshot that holds it; 'fsfreeze --unfreeze %s' "
				  "if none does",
				  point);
	return err_advise(err_from_errno(errnum, "%s: freeze", point), "run it as root");
}

struct err *freeze_hold(struct freeze *freeze, unsigned *ret_unable)
{
	struct board *board = freeze->board;
	struct err *err = NULL;
	unsigned unable = 0;

	TRY(lock_memory());
	board->expired = false;
	board->deadline_ns = run_now_ns() + freeze->limit_ns;
	err = tell(freeze, WORD_ARM);
	for (size_t i = 0; i < board->count && !err; i++) {
		err = hold_one(freeze, i);
		unable += board->systems[i].state == STATE_UNABLE;
	}
	if (err) {
		freeze_release(freeze);
		return err;
	}
	*ret_unable = unable;
	return NULL;
}

static struct err *check_one(struct freeze *freeze, size_t number)
{
	struct system *system = &freeze->board->systems[number];

	if (system->state == STATE_UNABLE)
		return NULL;
	if (ioctl(system->fd, FIFREEZE, 0) && errno == EBUSY)
		return NULL;
	/* It is again now, and will be thawed with the others, if there is anybody who does that. */
	if (freeze->is_kept)
		(void)!ioctl(system->fd, FITHAW, 0);
	return err_advise(err_failed("%s: was thawed by somebody else", freeze->points.items[number]),
			  "see that no backup or snapshot is made meanwhile, and cut over again");
}

struct err *freeze_check(struct freeze *freeze)
{
	struct pollfd input = {.fd = guardian_socket(freeze->dead_man), .events = POLLIN};

	if (!freeze->is_kept && (freeze->board->expired || !freeze_left_ns(freeze)))
		return too_late(freeze);
	/* It never speaks but to answer. */
	if (!freeze->is_kept && poll(&input, 1, 0))
		return dead_man_gone();
	for (size_t i = 0; i < freeze->board->count; i++)
		TRY(check_one(freeze, i));
	return NULL;
}

uint64_t freeze_left_ns(const struct freeze *freeze)
{
	uint64_t deadline_ns = freeze->board->deadline_ns, now_ns = run_now_ns();

	return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

void freeze_release(struct freeze *freeze)
{
	struct board *board = freeze->board;

	if (!board->deadline_ns)
		return;
	for (size_t i = board->count; i--;) {
		if (board->systems[i].state == STATE_FROZEN)
			(void)!ioctl(board->systems[i].fd, FITHAW, 0);
		board->systems[i].state = STATE_THAWED;
	}
	board->deadline_ns = 0;
	err_free(tell(freeze, WORD_DISARM));
	munlockall();
}

struct err *freeze_keep(struct freeze *freeze)
{
	TRY(freeze_check(freeze));
	TRY(tell(freeze, WORD_KEEP));
	/* There is nothing to release any more. */
	freeze->board->deadline_ns = 0;
	freeze->is_kept = true;
	return NULL;
}
