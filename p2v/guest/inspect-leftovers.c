/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Software that only makes sense on the old hardware, or on another
 * hypervisor: by the units that are enabled, and by files of what has none.
 */
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect-impl.h"
#include "p2v/guest/path.h"

/* units: names with or without ".service", space-separated; SysV scripts have the same names.
 * path: what shows that it is there where no unit is enabled; NULL: only an enabled unit counts. */
static const struct leftover_kind {
	const char *name;
	const char *units;
	const char *path;
	const char *why;
} kinds[] = {
	{"Dell OpenManage",
	 "dsm_sa_datamgrd dsm_sa_eventmgrd dsm_om_connsvc dsm_om_shrsvc dataeng instsvcdrv",
	 "/opt/dell/srvadmin", "manages Dell hardware"},
	{"Dell iDRAC Service Module", "dcismeng", "/opt/dell/srvadmin/iSM",
	 "talks to the old server's iDRAC"},
	{"HPE Agentless Management", "amsd ahslog smad hp-ams hp-snmp-agents", NULL,
	 "talks to the old server's iLO"},
	{"HPE System Health", "hp-health hp-asrd hpasmd hpasmlited", "/opt/hp/hp-health",
	 "manages HPE hardware"},
	{"HPE storage tools", "", "/opt/hp/hpssacli", "manages an HPE RAID controller"},
	{"HPE Smart Storage Administrator", "", "/opt/smartstorageadmin", "manages an HPE RAID controller"},
	{"MegaRAID Storage Manager", "vivaldiframeworkd mrmonitor lsi_mrdsnmpd",
	 "/usr/local/MegaRAID Storage Manager", "manages a Broadcom RAID controller"},
	{"MegaCLI", "megaclisas-statusd", "/opt/MegaRAID", "manages a Broadcom RAID controller"},
	{"arcconf", "", "/usr/Adaptec_Event_Monitor", "manages an Adaptec RAID controller"},
	{"3ware 3DM2", "3dm2 tdm2", NULL, "manages a 3ware RAID controller"},
	{"aacraid status", "aacraid-statusd", NULL, "watches an Adaptec RAID controller"},
	{"mpt status", "mpt-statusd mptctl", NULL, "watches an LSI RAID controller"},
	{"Lenovo/IBM agents", "ibmasm ibmdirector tier1slp cimlistener", "/opt/ibm/director",
	 "manages IBM or Lenovo hardware"},
	{"Fujitsu ServerView", "srvmagt eecd srvmagt_scs", NULL, "manages Fujitsu hardware"},
	{"Supermicro SuperDoctor", "sd5", "/opt/Supermicro/SuperDoctor5", "manages Supermicro hardware"},
	{"smartmontools", "smartmontools smartd", NULL, "watches disks' SMART data; virtual disks have none"},
	{"mcelog", "mcelog mcelogd", NULL, "reads the processor's machine checks; the host does that now"},
	{"rasdaemon", "rasdaemon ras-mc-ctl", NULL, "reads memory errors; the host does that now"},
	{"edac-utils", "edac", NULL, "reads memory errors; the host does that now"},
	{"OpenIPMI", "openipmi ipmi", NULL, "drives a management controller that the virtual machine lacks"},
	{"ipmievd", "ipmievd", NULL, "reads a management controller that the virtual machine lacks"},
	{"freeipmi", "bmc-watchdog ipmidetectd ipmiseld bmc-info", NULL,
	 "talks to a management controller that the virtual machine lacks"},
	{"watchdog", "watchdog wd_keepalive", NULL,
	 "feeds a hardware watchdog; without the device it fails, or resets the machine"},
	{"lm-sensors", "lm-sensors lm_sensors sensord fancontrol", NULL,
	 "reads temperatures and fans that the virtual machine lacks"},
	{"thermald", "thermald", NULL, "cools the processor; the host does that now"},
	{"power management", "cpufrequtils cpufreqd cpuspeed cpupower loadcpufreq powernowd", NULL,
	 "sets the processor's frequency; the host does that now"},
	{"biosdevname", "", "/sbin/biosdevname", "names interfaces after slots that will not exist"},
	{"hddtemp", "hddtemp", NULL, "reads disks' temperature; virtual disks have none"},
	{"hdparm", "hdparm", NULL, "sets parameters of ATA disks"},
	{"power supply monitor", "apcupsd nut-server nut-monitor upsd upsmon", NULL,
	 "watches a power supply; the host should do that now"},
	{"Fibre Channel tools", "fcoe lldpad hbaagent", NULL,
	 "sets up host bus adapters that will not exist"},
	{"multipath", "multipathd multipath-tools", NULL,
	 "joins several paths to one disk; the virtual disk has one path"},
	{"VMware Tools", "open-vm-tools vmtoolsd vgauthd vmware-tools vmware-tools-thinprint",
	 "/etc/vmware-tools/tools.conf", "is the guest agent of VMware"},
	{"Xen guest agent", "xe-linux-distribution xe-daemon xendomains", "/usr/sbin/xe-daemon",
	 "is the guest agent of XenServer"},
	{"VirtualBox additions", "vboxadd vboxadd-service virtualbox-guest-utils vboxservice",
	 "/opt/VBoxGuestAdditions", "is the guest agent of VirtualBox"},
	{"Parallels Tools", "prltoolsd", NULL, "is the guest agent of Parallels"},
	{"NVIDIA driver", "nvidia-persistenced nvidia-fabricmanager", NULL,
	 "drives a graphics processor that the virtual machine lacks"},
	{"intel-microcode", "", "/usr/share/initramfs-tools/hooks/intel_microcode",
	 "updates the processor's microcode; the host does that now"},
	{"amd64-microcode", "", "/usr/share/initramfs-tools/hooks/amd64_microcode",
	 "updates the processor's microcode; the host does that now"},
};

/* The names of enabled units without ".service": links in *.wants and *.requires, and SysV start links. */
static struct err *list_links(struct guest *guest, const char *dir, bool is_sysv, struct strv *ret_names)
{
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(guest, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		char *name = names.items[i];

		if (is_sysv) {
			/* "S20smartmontools" */
			if (name[0] == 'S' && strlen(name) > 3)
				strv_add(ret_names, name + 3);
			continue;
		}
		strv_add(ret_names, name);
	}
	return NULL;
}

static struct err *list_enabled(const struct inspect_context *context, struct strv *ret_names)
{
	static const char system_dir[] = "/etc/systemd/system";
	static const char *const sysv_dirs[] = {"/etc/rc3.d", "/etc/rc.d/rc3.d", "/etc/init.d/rc3.d",
						"/etc/rc2.d"};
	CLEANUP_STRV struct strv dirs = {0};

	TRY(guest_list(context->guest, system_dir, &dirs));
	for (size_t i = 0; i < dirs.count; i++) {
		CLEANUP_FREE char *dir = path_join(system_dir, dirs.items[i]);

		if (str_ends_with(dir, ".wants") || str_ends_with(dir, ".requires"))
			TRY(list_links(context->guest, dir, false, ret_names));
	}
	for (size_t i = 0; i < sizeof sysv_dirs / sizeof *sysv_dirs; i++)
		TRY(list_links(context->guest, sysv_dirs[i], true, ret_names));
	return NULL;
}

/* A unit linked to /dev/null does not run, whatever wants it. */
static struct err *is_masked(struct guest *guest, const char *unit, bool *ret_masked)
{
	CLEANUP_FREE char *path = path_join("/etc/systemd/system", unit);
	CLEANUP_FREE char *target = NULL;

	TRY(guest_readlink(guest, path, &target));
	*ret_masked = target && strcmp(target, "/dev/null") == 0;
	return NULL;
}

static void add_leftover(const struct inspect_context *context, const struct leftover_kind *kind,
			 const char *unit)
{
	struct inspection *inspection = context->inspection;

	inspection->leftovers = xreallocarray(inspection->leftovers, inspection->leftover_count + 1,
					      sizeof *inspection->leftovers);
	inspection->leftovers[inspection->leftover_count++] = (struct guest_leftover){
		.name = xstrdup(kind->name),
		.unit = xstrdup(unit),
		.why = kind->why,
	};
}

static struct err *check_kind(const struct inspect_context *context, const struct leftover_kind *kind,
			      const struct strv *enabled)
{
	CLEANUP_STRV struct strv units = {0};
	bool found = false;
	bool exists;

	strv_split(&units, kind->units, " ");
	for (size_t i = 0; i < units.count; i++) {
		CLEANUP_FREE char *unit = xasprintf("%s.service", units.items[i]);
		bool masked;

		if (!strv_has(enabled, unit) && !strv_has(enabled, units.items[i]))
			continue;
		TRY(is_masked(context->guest, unit, &masked));
		if (masked)
			continue;
		add_leftover(context, kind, unit);
		found = true;
	}
	if (found || !kind->path)
		return NULL;
	TRY(inspect_exists(context->guest, kind->path, &exists));
	if (exists)
		add_leftover(context, kind, NULL);
	return NULL;
}

struct err *inspect_leftovers(const struct inspect_context *context)
{
	CLEANUP_STRV struct strv enabled = {0};

	TRY(list_enabled(context, &enabled));
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		TRY(check_kind(context, &kinds[i], &enabled));
	return NULL;
}
