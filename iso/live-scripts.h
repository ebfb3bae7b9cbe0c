/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scripts that the agent brings with it, as strings. */
#ifndef ISO_LIVE_SCRIPTS_H
#define ISO_LIVE_SCRIPTS_H

extern const char live_dhcp_script[]; /* live-dhcp.sh */

#endif
