/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/live-fence.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>

static struct err *take_down(int socket_fd, const char *name)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(socket_fd, SIOCGIFFLAGS, &request))
		return err_from_errno(errno, "%s", name);
	if (request.ifr_flags & IFF_LOOPBACK)
		return NULL;
	request.ifr_flags &= ~IFF_UP;
	return ioctl(socket_fd, SIOCSIFFLAGS, &request) ? err_from_errno(errno, "%s: take down", name) : NULL;
}

struct err *live_fence_network(void)
{
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *interfaces = if_nameindex();
	struct err *err = NULL;

	if (fd < 0 || !interfaces)
		err = err_from_errno(errno, "network interfaces");
	for (struct if_nameindex *at = interfaces; at && at->if_index && fd >= 0; at++)
		err = err_first(err, take_down(fd, at->if_name));
	if (interfaces)
		if_freenameindex(interfaces);
	return err_advise(err, "take them down yourself, or switch the server off");
}

struct err *live_fence_power_off(void)
{
	reboot(RB_POWER_OFF);
	return err_advise(err_from_errno(errno, "power off"), "switch the server off yourself");
}
