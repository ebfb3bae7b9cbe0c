#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What becomes of a server whose copy takes over: a Debian server that works is sent
# live, cut over, and fenced by taking its network down, and by switching it off.
# Both times the copy is its disk, byte by byte, and who would speak with the old
# server hears nothing.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2016,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/live-guest.sh"

# Runs on while everything is frozen, and is silent while we are still at the console.
WATCH='setsid sh -c "sleep 5; while :; do echo link-\$(cat /sys/class/net/enp0s25/flags); sleep 1; done" \
	</dev/null >/dev/ttyS1 2>&1 &'

# begins FENCE: the server runs, with a load, and is sent.
begins() {
	make_guest && start_guest && is_answered && mark_console &&
		guest "setsid sh -c '$LOAD' </dev/null >/dev/null 2>&1 &
			$WATCH
			setsid p2v-agent send 192.0.2.1:$port --key-file /usr/local/tools/.pairing-key --name $1 --disk /dev/sda \
				--all --live --downtime 60 --max-freeze 300 --cutover --fence $1 </dev/null >/dev/ttyS1 2>&1 &"
}

check 'a receiver' start_receiver

check 'network: a server that works' begins network
check 'network: its interface is up at first' guest_says '^link-0x[0-9a-f]*3$'
check 'network: it is fenced' guest_says '^link-0x[0-9a-f]*2$' 900
check 'network: then the copy is complete' job_is_complete network
check 'network: nobody answers any more' is_not is_answered
check 'network: the copy is the disk of the server' equal_to_server network
sleep 5
check 'network: which stays so' equal_to_server network
check 'network: and goes on to run' kill -0 "$guest_pid"
stop_guest

check 'poweroff: a server that works' begins poweroff
check 'poweroff: it powers off' powers_off 900
check 'poweroff: the copy is complete' job_is_complete poweroff
check 'poweroff: the copy is the disk of the server' equal_to_server poweroff
printf 'other' | dd of="$work/server.raw" bs=1 seek=$((900 << 20)) conv=notrunc status=none
check 'a difference would have been noticed' is_not equal_to_server poweroff
finish
