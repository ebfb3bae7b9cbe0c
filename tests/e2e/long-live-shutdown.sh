#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v send --live --mode shutdown: a Debian server that works is sent, shut down by
# its own means, and goes off when its copy is complete: which is its disk, byte by
# byte, as it lies there then. Where that cannot be, as the receiver has gone or it
# takes too long, it starts again and works as before, and nothing is complete.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2016,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/live-guest.sh"

[ "$(id -u)" = 0 ] || skip 'only root may make loop devices'
agent=$build/bin/p2v-agent
job=shutdown

# A service that says when it has been stopped.
START_LOAD="printf '%s\n' '$LOAD' >/usr/local/bin/load
	systemd-run --quiet --unit load -p 'ExecStop=/bin/sh -c \"sync; echo stopped >/var/load/stopped\"' sh /usr/local/bin/load"

# send_live OPTION...: begins there, and is ready to cut over; the server works meanwhile, from when all of it was
# brought over once (its writes would make that slow: one emulated disk is little).
send_live() {
	mark_console
	guest "rm -f /var/load/stopped; setsid p2v-agent send 192.0.2.1:$port --key-file /usr/local/tools/.pairing-key --name $job --disk /dev/sda --all \
		--live --mode shutdown $* </dev/null 2>&1 | cat >/dev/ttyS1 &"
	guest_says 'left; cutover now would take' 600 && guest "$START_LOAD; sleep 5; systemctl is-active load"
}

# Who has ordered it at the console may be gone with it before he can tell.
order_cutover() {
	guest 'p2v-agent cutover' || true
	guest_says 'waiting for the server to shut down'
}

# A machine of no systemd, and a program with libraries.
refused_here() {
	local loop status=0
	truncate -s 16M "$work/disk.img"
	loop=$(losetup -f --show "$work/disk.img") || return
	refuses_agent 3 "$1" "$2" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name refused --disk "$loop" \
		--live --mode shutdown || status=1
	losetup -d "$loop"
	return $status
}

# refuses_agent STATUS PATTERN PROGRAM...
refuses_agent() {
	local wanted=$1 pattern=$2 status=0
	shift 2
	"$@" >"$work/out" 2>&1 </dev/null || status=$?
	cat "$work/out"
	[ $status = "$wanted" ] && grep -E "$pattern" "$work/out"
}

# starts_again: it did, somebody is logged in again, and it works.
starts_again() {
	guest_says "$LOGIN" 600 && kill -0 "$guest_pid" &&
		console_login "$work/com2" "$work/com2.log" "$guest_pid" "$password" &&
		guest 'systemctl is-system-running --wait; test -e /var/load/stopped'
}

file_system() {
	dd if="$work/server.raw" of="$work/root.img" bs=1M skip=1 count=1791 conv=sparse status=none
}

was_unmounted() {
	dumpe2fs -h "$work/root.img" >"$work/header" 2>/dev/null && cat "$work/header" &&
		grep -q '^Filesystem state: *clean' "$work/header" && is_not grep -q needs_recovery "$work/header" &&
		e2fsck -f -n "$work/root.img"
}

was_stopped() {
	debugfs -R 'cat /var/load/stopped' "$work/root.img" 2>/dev/null | grep stopped
}

check 'a receiver' start_receiver
[ -d /run/systemd/system ] || check 'where there is no systemd it is refused' refused_here 'does not run systemd' "$agent"
check 'what it replaces is refused' refuses 2 'neither --fence nor --quiesce' \
	"$p2v" send 127.0.0.1 --key-file "$work/jobs/.pairing-key" --disk /dev/null --live --mode shutdown --fence network

check 'a server' make_guest
check 'it runs' start_guest
check 'a service of systemd is no place for it' guest "systemd-run --quiet --wait --pipe p2v-agent send 192.0.2.1:$port \
	--key-file /usr/local/tools/.pairing-key --name refused --disk /dev/sda --live --mode shutdown >/run/said 2>&1
	cat /run/said; grep 'is ended too early' /run/said"
# From the next start on systemd's watchdog for the shutdown is shorter than what the receiver will make it wait.
check 'a watchdog of thirty seconds' guest 'mkdir -p /etc/systemd/system.conf.d &&
	printf "[Manager]\nRebootWatchdogSec=30\n" >/etc/systemd/system.conf.d/short.conf'
check 'it is sent live' send_live --max-freeze 2
check 'a cutover that may take two seconds is ordered' order_cutover
check 'it takes longer, and the server starts again' starts_again
check 'nothing is complete' is_not job_is_complete $job
check 'its sender has said so' grep 'the copy is not complete, the server starts again: .*not shut down within 2 s' "$work/com2.log"

check 'it is sent live again' send_live
check 'a cutover is ordered' order_cutover
stop_receiver
check 'the receiver is gone: the server starts again' starts_again
"$p2v" receive --dir "$work/jobs" --listen "127.0.0.1:$port" >"$work/receiver.out" 2>>"$work/receiver.err" &
receiver=$!
check 'there is a receiver again' soon -p "$receiver" grep -qs '^listening' "$work/receiver.out"
check 'nothing is complete, nor held' is_not job_is_complete $job

check 'the watchdog is set' guest 'ls -l /dev/watchdog0 && systemctl show --property RebootWatchdogUSec | grep 30s'
check 'it is sent live a third time' send_live
check 'a cutover is ordered once more' order_cutover
check 'the server is at rest' guest_says 'its last changes are sent' 600
kill -STOP "$receiver"
sleep 50
kill -CONT "$receiver"
check 'the server goes off' powers_off 600
check 'its copy is complete' job_is_complete $job
check 'and is the disk of the server' equal_to_server $job
check 'its file system can be looked at' file_system
check 'it was unmounted' was_unmounted
check 'the service was stopped before' was_stopped
printf 'other' | dd of="$work/server.raw" bs=1 seek=$((900 << 20)) conv=notrunc status=none
check 'a difference would have been noticed' is_not equal_to_server $job
finish
