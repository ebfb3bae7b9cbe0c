/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a disk is attached.  Three places tell, in this order: the kernel's name
 * of the disk, the path of its device in sysfs, and the driver of its SCSI host.
 */
#include <stdio.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

struct hint {
	const char *pattern;
	const char *transport;
};

static const struct hint names[] = {
	{"nvme", "nvme"}, {"mmcblk", "mmc"}, {"vd", "virtio"},	 {"xvd", "xen"},	{"cciss!", "raid"},
	{"ida!", "raid"}, {"rd!", "raid"},   {"loop", "loop"},	 {"ram", "ram"},	{"zram", "zram"},
	{"sr", "cdrom"},  {"fd", "floppy"},  {"nbd", "nbd"},	 {"rbd", "rbd"},	{"drbd", "drbd"},
	{"pmem", "pmem"}, {"zd", "zvol"},    {"etherd!", "aoe"}, {"mtdblock", "flash"},
};

static const struct hint places[] = {
	{"/usb", "usb"},	 {"/session", "iscsi"}, {"/rport-", "fc"},
	{"/end_device-", "sas"}, {"/ata", "sata"},	{"/virtio", "virtio"},
	{"/VMBUS:", "hyperv"},	 {"/vmbus", "hyperv"},	{"/ieee1394", "firewire"},
};

/* proc_name of controllers that show logical disks made of disks behind them. */
static const struct hint hosts[] = {
	{"hpsa", "raid"},	   {"megaraid_sas", "raid"}, {"megaraid", "raid"},   {"aacraid", "raid"},
	{"arcmsr", "raid"},	   {"3w-9xxx", "raid"},	     {"3w-sas", "raid"},     {"ips", "raid"},
	{"smartpqi", "raid"},	   {"mpi3mr", "raid"},	     {"vmw_pvscsi", "scsi"}, {"storvsc", "hyperv"},
	{"iscsi_tcp", "iscsi"},	   {"mpt3sas", "sas"},	     {"mpt2sas", "sas"},     {"mptsas", "sas"},
	{"scsi_debug", "scsi"},	   {"hv_storvsc", "hyperv"}, {"usb-storage", "usb"}, {"uas", "usb"},
	{"virtio_scsi", "virtio"}, {"ata_piix", "sata"},     {"ahci", "sata"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *host_transport(const char *root, const char *place)
{
	const char *part = strstr(place, "/host");
	CLEANUP_FREE char *driver = NULL;
	unsigned host;

	if (!part || sscanf(part, "/host%u", &host) != 1)
		return NULL;
	driver = sysroot_read(root, "/sys/class/scsi_host/host%u/proc_name", host);
	for (size_t i = 0; driver && i < COUNT(hosts); i++)
		if (!strcmp(driver, hosts[i].pattern))
			return hosts[i].transport;
	return NULL;
}

char *discover_transport(const char *root, const char *kernel_name)
{
	CLEANUP_FREE char *place = sysroot_real(root, "/sys/block/%s", kernel_name);
	const char *by_host;

	for (size_t i = 0; i < COUNT(names); i++)
		if (str_starts_with(kernel_name, names[i].pattern))
			return xstrdup(names[i].transport);
	if (!place)
		return NULL;
	/* A RAID controller's driver outranks the place: its logical disks may look like SAS. */
	by_host = host_transport(root, place);
	if (by_host)
		return xstrdup(by_host);
	for (size_t i = 0; i < COUNT(places); i++)
		if (strstr(place, places[i].pattern))
			return xstrdup(places[i].transport);
	return strstr(place, "/host") ? xstrdup("scsi") : NULL;
}
