/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The line, which knows messages by the length of their TLS records and by what
 * the sender was about to say, and the two ends as processes of their own.
 */
#include "tests/sync/lib-cutover-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/sync/receiver.h"
#include "tests/base/lib-must.h"
#include "tests/sync/lib-cutover-rig-ends.h"

#define RECORD_HEADER_BYTES 5
#define MIN_MESSAGE_BYTES 45 /* of a record; ALIVE, and what TLS says by itself at the end, is shorter */
#define MAX_RECORD_BYTES (RECORD_HEADER_BYTES + 65535)

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* One direction of a line. */
struct direction {
	struct cutover_rig *rig;
	int from, to;
	bool is_from_sender;
	atomic_int *users; /* of both descriptors; the last one closes them */
};

static void sever(const struct direction *direction)
{
	shutdown(direction->from, SHUT_RDWR);
	shutdown(direction->to, SHUT_RDWR);
}

static void violate_if_complete(struct cutover_facts *facts)
{
	if (facts->is_complete)
		facts->violations++;
}

/* The dead man's process: what is not decided by now never will be. */
static void time_out(struct cutover_facts *facts)
{
	enum cutover_fate open = CUTOVER_OPEN;

	if (!atomic_compare_exchange_strong(&facts->fate, &open, CUTOVER_EXPIRED))
		return;
	facts->is_frozen = false;
	violate_if_complete(facts);
}

/* False: the line is no more. */
static bool happen(const struct direction *direction, enum cutover_fault fault)
{
	struct cutover_rig *rig = direction->rig;
	struct cutover_facts *facts = rig->facts;

	switch (fault) {
	case CUTOVER_KILL_SENDER:
		kill(child_pid(rig->sender), SIGKILL);
		break;
	case CUTOVER_KILL_RECEIVER:
	case CUTOVER_LOSE_RECEIVER:
		kill(child_pid(rig->receiver), SIGKILL);
		facts->kill = fault;
		break;
	case CUTOVER_TIME_OUT:
		time_out(facts);
		return true;
	case CUTOVER_FOREIGN_THAW:
		facts->is_frozen = false;
		break;
	case CUTOVER_CUT:
	case CUTOVER_SOUND:
		break;
	}
	sever(direction);
	return false;
}

static bool is_its_time(const struct direction *direction, size_t record_bytes)
{
	const struct cutover_facts *facts = direction->rig->facts;
	int step = facts->at >= CUTOVER_COMMIT ? 2 : 1;
	bool is_from_sender = facts->at == CUTOVER_HOLD || facts->at == CUTOVER_COMMIT;

	return facts->step == step && direction->is_from_sender == is_from_sender &&
	       record_bytes >= MIN_MESSAGE_BYTES;
}

static bool hand_on(const struct direction *direction, const uint8_t *record, size_t bytes)
{
	return send(direction->to, record, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool carry_record(const struct direction *direction, const uint8_t *record, size_t bytes)
{
	struct cutover_facts *facts = direction->rig->facts;
	enum cutover_fault fault = CUTOVER_SOUND;

	if (is_its_time(direction, bytes))
		fault = atomic_exchange(&facts->fault, CUTOVER_SOUND);
	if (!fault)
		return hand_on(direction, record, bytes);
	if (facts->behind && !hand_on(direction, record, bytes))
		return false;
	return happen(direction, fault) && (facts->behind || hand_on(direction, record, bytes));
}

static bool receive_all(int fd, uint8_t *buf, size_t bytes)
{
	for (size_t got = 0; got < bytes;) {
		ssize_t more = recv(fd, buf + got, bytes - got, 0);

		if (more <= 0)
			return false;
		got += more;
	}
	return true;
}

static void *carry(void *arg)
{
	CLEANUP_FREE struct direction *direction = arg;
	CLEANUP_FREE uint8_t *record = xmalloc(MAX_RECORD_BYTES);
	size_t bytes;

	do {
		if (!receive_all(direction->from, record, RECORD_HEADER_BYTES))
			break;
		bytes = (size_t)record[3] << 8 | record[4];
		if (!receive_all(direction->from, record + RECORD_HEADER_BYTES, bytes))
			break;
	} while (carry_record(direction, record, RECORD_HEADER_BYTES + bytes));
	shutdown(direction->to, SHUT_WR);
	shutdown(direction->from, SHUT_RD);
	if (atomic_fetch_sub(direction->users, 1) == 1) {
		close(direction->from);
		close(direction->to);
		free(direction->users);
	}
	direction->rig->lines--;
	return NULL;
}

static void start_line(struct cutover_rig *rig, int sender_fd, int receiver_fd)
{
	atomic_int *users = xmalloc(sizeof *users);
	const struct direction there = {rig, sender_fd, receiver_fd, true, users};
	const struct direction back = {rig, receiver_fd, sender_fd, false, users};
	const struct direction *const both[] = {&there, &back};

	*users = 2;
	rig->lines += 2;
	for (size_t i = 0; i < 2; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, carry, xmemdup(both[i], sizeof *both[i])), 0);
		pthread_detach(thread);
	}
}

/* Who finds no receiver is told by the end of the connection. */
static void *accept_all(void *arg)
{
	struct cutover_rig *rig = arg;
	struct pollfd input = {.fd = rig->listener, .events = POLLIN};

	while (!rig->ends) {
		int sender_fd, receiver_fd;

		if (poll(&input, 1, 20) != 1)
			continue;
		sender_fd = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
		receiver_fd = cutover_connect(scratch_path(rig->scratch), CUTOVER_RECEIVER_SOCKET);
		if (sender_fd >= 0 && receiver_fd >= 0) {
			start_line(rig, sender_fd, receiver_fd);
			continue;
		}
		if (sender_fd >= 0)
			close(sender_fd);
		if (receiver_fd >= 0)
			close(receiver_fd);
	}
	return NULL;
}

static struct child *start_end(const struct cutover_rig *rig, const char *role)
{
	const char *const argv[] = {"/proc/self/exe", role, scratch_path(rig->scratch), NULL};
	CLEANUP_FREE char *log = xasprintf("%s/messages", scratch_path(rig->scratch));
	struct child *child;

	must(child_start(argv, log, NULL, &child));
	return child;
}

void cutover_rig_init(struct cutover_rig *rig, struct cutover_facts facts)
{
	CLEANUP_KEY struct key *key = NULL;
	CLEANUP_FREE char *key_path = NULL;

	signal(SIGPIPE, SIG_IGN);
	must(scratch_create("/tmp", "test-cutover", &rig->scratch));
	key_path = xasprintf("%s/" CUTOVER_KEY_FILE, scratch_path(rig->scratch));
	must(key_read_or_make_file(key_path, &key));
	rig->facts = cutover_share_facts(scratch_path(rig->scratch), &facts);
	rig->listener = cutover_listen(scratch_path(rig->scratch), CUTOVER_SENDER_SOCKET);
	rig->receiver = start_end(rig, "receiver");
	assert_int_equal(pthread_create(&rig->acceptor, NULL, accept_all, rig), 0);
	/* A sender that finds nobody has failed, and lets the server go on, before anything has happened. */
	while (!rig->facts->listens)
		pause_a_little();
	rig->sender = start_end(rig, "sender");
}

int cutover_rig_run(struct cutover_rig *rig)
{
	struct cutover_facts *facts = rig->facts;
	int status;

	while ((status = child_wait(rig->sender, 2000000)) < 0) {
		int whom = atomic_exchange(&facts->kill, 0);

		if (!whom)
			continue;
		child_stop(rig->receiver, 0);
		rig->receiver = whom == CUTOVER_KILL_RECEIVER ? start_end(rig, "receiver") : NULL;
	}
	/* What the dead man's process does when its sender ends. */
	time_out(facts);
	return status;
}

void cutover_rig_settle(const struct cutover_rig *rig)
{
	while (rig->lines || rig->facts->visits)
		pause_a_little();
}

void cutover_rig_deinit(struct cutover_rig *rig)
{
	rig->ends = true;
	pthread_join(rig->acceptor, NULL);
	child_stop(rig->sender, 0);
	child_stop(rig->receiver, 0);
	while (rig->lines)
		pause_a_little();
	close(rig->listener);
	munmap(rig->facts, sizeof *rig->facts);
	scratch_destroy(rig->scratch);
}

void cutover_rig_load_job(const struct cutover_rig *rig, struct checkpoint *ret_job)
{
	CLEANUP_FREE char *folder = xasprintf("%s/job", scratch_path(rig->scratch));

	must(checkpoint_load(folder, ret_job));
}

char *cutover_rig_messages(const struct cutover_rig *rig)
{
	CLEANUP_FREE char *path = xasprintf("%s/messages", scratch_path(rig->scratch));
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = xcalloc(1, 8192);

	(void)!read(fd, text, 8191);
	return text;
}
