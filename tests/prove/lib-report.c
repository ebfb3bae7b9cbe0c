/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/prove/lib-report.h"

#include <string.h>

#include "p2v/base/strv.h"

const char healthy_lines[] =
	"begin|1\n"
	"kernel|6.1.0-35-amd64\n"
	"host|web01\n"
	"state|running\n"
	"uptime|41\n"
	"cmdline|root=/dev/mapper/vg-root ro\n"
	"mount|/|254:3|ext4|/dev/mapper/vg-root|/dev/dm-0\n"
	"mount|/boot|254:1|ext4|/dev/vda1|/dev/vda1\n"
	"swap|/dev/dm-1|partition\n"
	"fstab|/dev/mapper/vg-root|/|ext4|errors=remount-ro\n"
	"fstab|UUID=b001|/boot|ext4|defaults\n"
	"fstab|/dev/mapper/vg-swap|none|swap|sw\n"
	"fstab|/dev/sr0|/media/cdrom0|udf,iso9660|user,noauto\n"
	"fstab|files:/export|/data|nfs4|rw\n"
	"block|dm-0|254:3|1024|/sys/devices/virtual/block/dm-0||vda2|vg-root\n"
	"block|vda|254:0|2048|/sys/devices/pci0000:00/0000:00:03.0/virtio1/block/vda|virtio_blk "
	"virtio-pci||\n"
	"block|vda1|254:1|100|/sys/devices/pci0000:00/0000:00:03.0/virtio1/block/vda/vda1|virtio_blk "
	"virtio-pci||\n"
	"block|vda2|254:2|1900|/sys/devices/pci0000:00/0000:00:03.0/virtio1/block/vda/vda2|virtio_blk "
	"virtio-pci||\n"
	"uuid|a001|/dev/dm-0\n"
	"uuid|b001|/dev/vda1\n"
	"nic|enp0s2|52:54:00:12:34:56|up|virtio_net virtio-pci|\n"
	"address|lo|inet|127.0.0.1/8|host\n"
	"address|enp0s2|inet|192.0.2.10/24|global\n"
	"address|enp0s2|inet6|fe80::5054:ff:fe12:3456/64|link\n"
	"prompt|yes\n";

char *make_report(const char *lines)
{
	CLEANUP_STRV struct strv list = {0};
	struct text text = {0};

	strv_split(&list, lines, "\n");
	for (size_t i = 0; i < list.count; i++) {
		for (char *c = list.items[i]; *c; c++)
			if (*c == '|')
				*c = '\t';
		text_addf(&text, "P2V\t%s\n", list.items[i]);
	}
	text_addf(&text, "P2V\tend\t%zu\n", list.count);
	return text_take(&text);
}
