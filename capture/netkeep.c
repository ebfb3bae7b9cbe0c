/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel tells of addresses and routes is what it takes to make them
 * (rtnetlink(7)): so its own messages are kept, and sent back.  What is there
 * already it refuses (EEXIST).
 */
#include "capture/netkeep.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define ANSWER_BYTES (256u << 10) /* more than the kernel puts into one */

struct netkeep {
	int socket;
	uint32_t sequence;
	struct text messages; /* one behind the other, each aligned */
	char *answer;
};

static struct err *ask(struct netkeep *netkeep, const struct nlmsghdr *message)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(netkeep->socket, message, message->nlmsg_len, 0, (const struct sockaddr *)&kernel,
		   sizeof kernel) < 0)
		return err_from_errno(errno, "netlink");
	return NULL;
}

static void keep(struct netkeep *netkeep, const struct nlmsghdr *message)
{
	static const char padding[NLMSG_ALIGNTO];

	text_add(&netkeep->messages, message, message->nlmsg_len);
	text_add(&netkeep->messages, padding, NLMSG_ALIGN(message->nlmsg_len) - message->nlmsg_len);
}

static void keep_link(struct netkeep *netkeep, const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} up = {
		.header = {.nlmsg_len = sizeof up,
			   .nlmsg_type = RTM_NEWLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.link = {.ifi_index = link->ifi_index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
	};

	if (link->ifi_flags & IFF_UP)
		keep(netkeep, &up.header);
}

static void keep_made(struct netkeep *netkeep, struct nlmsghdr *message)
{
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	keep(netkeep, message);
}

/* Those to our own addresses come with the addresses. */
static void keep_route(struct netkeep *netkeep, struct nlmsghdr *message)
{
	struct rtmsg *route = NLMSG_DATA(message);

	if (route->rtm_table == RT_TABLE_LOCAL || route->rtm_flags & RTM_F_CLONED)
		return;
	/* How the link is now is not to be set. */
	route->rtm_flags &= RTNH_F_ONLINK;
	keep_made(netkeep, message);
}

static struct err *take(struct netkeep *netkeep, struct nlmsghdr *message, bool *ret_is_done)
{
	const struct nlmsgerr *answer = NLMSG_DATA(message);

	switch (message->nlmsg_type) {
	case NLMSG_ERROR:
		return err_from_errno(-answer->error, "netlink: what there is of the network");
	case NLMSG_DONE:
		*ret_is_done = true;
		break;
	case RTM_NEWLINK:
		keep_link(netkeep, message);
		break;
	case RTM_NEWADDR:
		keep_made(netkeep, message);
		break;
	case RTM_NEWROUTE:
		keep_route(netkeep, message);
		break;
	}
	return NULL;
}

static struct err *receive(struct netkeep *netkeep, size_t *ret_bytes)
{
	ssize_t got;

	do
		got = recv(netkeep->socket, netkeep->answer, ANSWER_BYTES, MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_from_errno(errno, "netlink");
	if (got > ANSWER_BYTES)
		return err_failed("netlink: an answer of %zd bytes", got);
	*ret_bytes = got;
	return NULL;
}

static struct err *dump(struct netkeep *netkeep, uint16_t type)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg all; /* as long as the others, or longer */
	} question = {
		.header = {.nlmsg_len = sizeof question,
			   .nlmsg_type = type,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			   .nlmsg_seq = ++netkeep->sequence},
	};
	bool is_done = false;

	TRY(ask(netkeep, &question.header));
	while (!is_done) {
		struct nlmsghdr *message = (struct nlmsghdr *)netkeep->answer;
		size_t bytes = 0;

		TRY(receive(netkeep, &bytes));
		for (; NLMSG_OK(message, bytes) && !is_done; message = NLMSG_NEXT(message, bytes))
			TRY(take(netkeep, message, &is_done));
	}
	return NULL;
}

struct err *netkeep_remember(struct netkeep **ret_netkeep)
{
	CLEANUP_NETKEEP struct netkeep *netkeep = xcalloc(1, sizeof *netkeep);

	netkeep->answer = xcalloc(1, ANSWER_BYTES);
	netkeep->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netkeep->socket < 0)
		return err_from_errno(errno, "netlink");
	/* In the order in which they stand on one another. */
	TRY(dump(netkeep, RTM_GETLINK));
	TRY(dump(netkeep, RTM_GETADDR));
	TRY(dump(netkeep, RTM_GETROUTE));
	*ret_netkeep = take_ptr(netkeep);
	return NULL;
}

void netkeep_destroy(struct netkeep *netkeep)
{
	if (!netkeep)
		return;
	if (netkeep->socket >= 0)
		close(netkeep->socket);
	text_deinit(&netkeep->messages);
	free(netkeep->answer);
	free(netkeep);
}

/* Whether the kernel has taken the message. */
static struct err *send_back(struct netkeep *netkeep, struct nlmsghdr *message, bool *ret_is_taken)
{
	const struct nlmsghdr *answer = (const struct nlmsghdr *)netkeep->answer;
	size_t bytes = 0;

	message->nlmsg_seq = ++netkeep->sequence;
	TRY(ask(netkeep, message));
	do
		TRY(receive(netkeep, &bytes));
	while (bytes < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || answer->nlmsg_seq != message->nlmsg_seq);
	*ret_is_taken =
		answer->nlmsg_type == NLMSG_ERROR && !((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
	return NULL;
}

unsigned netkeep_restore(struct netkeep *netkeep)
{
	struct nlmsghdr *message = (struct nlmsghdr *)netkeep->messages.data;
	size_t bytes = netkeep->messages.bytes;
	unsigned restored = 0;

	for (; message && NLMSG_OK(message, bytes); message = NLMSG_NEXT(message, bytes)) {
		bool is_taken = false;

		err_free(send_back(netkeep, message, &is_taken));
		restored += is_taken && message->nlmsg_type != RTM_NEWLINK;
	}
	return restored;
}
