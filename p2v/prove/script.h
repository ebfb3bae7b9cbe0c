/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text of report.sh, and what prove_run() must agree on with it. */
#ifndef P2V_PROVE_SCRIPT_H
#define P2V_PROVE_SCRIPT_H

extern const char prove_script[];

/*
 * The report's serial port: the fourth of a PC (ttyS3), for the first ones may be the console, and a
 * BMC's serial-over-LAN port is the second or third.  Its interrupt is not the one it would share with the
 * second port; ACPI tells the guest so.
 */
#define PROVE_PORT_ADDRESS "0x2E8" /* as sysfs writes it */
#define PROVE_PORT_IRQ 5

/* Uptime after which the unit reports, whatever systemd is still waiting for. */
#define PROVE_UNIT_LIMIT_S 420

#endif
