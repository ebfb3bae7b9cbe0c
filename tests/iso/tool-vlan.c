/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tool-vlan NUMBER TRUNK TRUNK_PEER ACCESS ACCESS_PEER: a switch with one port that carries a VLAN tagged and
 * one that carries it untagged, for QEMU's "-netdev dgram": a datagram of a Unix socket is a frame.  Frames
 * of other VLANs, and untagged ones, do not pass the trunk.  Runs until it is killed.
 *
 * Tags are those of IEEE 802.1Q: 0x8100 and 16 bits, of which the lower 12 are the number, behind the two
 * addresses.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESSES_BYTES 12
#define TAG_BYTES 4
#define TAG_TYPE 0x8100
#define NUMBER_MASK 0xfff

struct port {
	int fd;
	struct sockaddr_un peer;
};

static struct sockaddr_un to_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path) {
		fprintf(stderr, "%s: too long\n", path);
		exit(2);
	}
	memcpy(address.sun_path, path, strlen(path));
	return address;
}

static struct port open_port(const char *path, const char *peer)
{
	struct sockaddr_un own = to_address(path);
	struct port port = {socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), to_address(peer)};

	if (port.fd < 0 || bind(port.fd, (struct sockaddr *)&own, sizeof own)) {
		perror(path);
		exit(1);
	}
	return port;
}

/* A frame that the other side does not take, or before there is one, is lost, as on any wire. */
static void put(const struct port *port, const void *frame, size_t bytes)
{
	(void)!sendto(port->fd, frame, bytes, MSG_DONTWAIT, (const struct sockaddr *)&port->peer,
		      sizeof port->peer);
}

static void untag(unsigned number, uint8_t *frame, size_t bytes, const struct port *access)
{
	uint16_t tag[2];

	if (bytes < ADDRESSES_BYTES + TAG_BYTES)
		return;
	memcpy(tag, frame + ADDRESSES_BYTES, sizeof tag);
	if (ntohs(tag[0]) != TAG_TYPE || (ntohs(tag[1]) & NUMBER_MASK) != number)
		return;
	memmove(frame + TAG_BYTES, frame, ADDRESSES_BYTES);
	put(access, frame + TAG_BYTES, bytes - TAG_BYTES);
}

/* The frame has room for a tag before it. */
static void tag(unsigned number, uint8_t *frame, size_t bytes, const struct port *trunk)
{
	const uint16_t tag[2] = {htons(TAG_TYPE), htons(number)};

	if (bytes < ADDRESSES_BYTES)
		return;
	memmove(frame - TAG_BYTES, frame, ADDRESSES_BYTES);
	memcpy(frame - TAG_BYTES + ADDRESSES_BYTES, tag, sizeof tag);
	put(trunk, frame - TAG_BYTES, bytes + TAG_BYTES);
}

int main(int argc, char **argv)
{
	static uint8_t buffer[TAG_BYTES + (1 << 16)];
	uint8_t *frame = buffer + TAG_BYTES;
	unsigned number = argc == 6 ? atoi(argv[1]) : 0;
	struct port trunk, access;
	struct pollfd fds[2];

	if (!number || number > 4094) {
		fputs("usage: tool-vlan NUMBER TRUNK TRUNK_PEER ACCESS ACCESS_PEER\n", stderr);
		return 2;
	}
	trunk = open_port(argv[2], argv[3]);
	access = open_port(argv[4], argv[5]);
	fds[0] = (struct pollfd){.fd = trunk.fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = access.fd, .events = POLLIN};
	while (poll(fds, 2, -1) > 0) {
		for (size_t i = 0; i < 2; i++) {
			ssize_t bytes = fds[i].revents & POLLIN
						? recv(fds[i].fd, frame, sizeof buffer - TAG_BYTES, 0)
						: -1;

			if (bytes > 0 && i == 0)
				untag(number, frame, bytes, &access);
			else if (bytes > 0)
				tag(number, frame, bytes, &trunk);
		}
	}
	return 1;
}
