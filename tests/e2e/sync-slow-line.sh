#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v-agent over a slow and lossy line: a first and a second run, and a server
# that dies in the middle. The line is the kernel's own (netem), in a guest: not
# every host's kernel has it.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

export TMPDIR=$work # for the guests, too
disk=$work/disk.img
suite=bookworm
line='delay 50ms loss 1% rate 100mbit'

# What the run cost, as JSON, is the guest's answer.
# shellcheck disable=SC2016 # for the guest's shell
send='
read start rest </proc/uptime
p2v-agent send "10.0.2.2:$port" --key-file /key --disk /dev/vda --all --name "$job" --json >/tmp/result || exit
read end rest </proc/uptime
/sbin/tc -s qdisc show dev eth0 >&2
lost=$(/sbin/tc -s qdisc show dev eth0 | sed -n "s/.*dropped \([0-9]*\),.*/\1/p")
echo "{\"seconds\": $(echo "$end $start" | awk "{ print \$1 - \$2 }"), \"lost_packets\": $lost}"
cat /tmp/result'

# send_from_guest JOB: its answer is in result.json. Run it in a subshell: the guest takes that one's place, so that $!
# is the guest.
send_from_guest() {
	exec "$root/tests/lib/agent-guest" --disk "$disk" --line "$line" --file "$work/key" --log "$work/console" \
		$suite "job=$1 port=$port; $send" >"$work/result.json"
}

# send JOB
send() {
	(send_from_guest "$1") || { cat "$work/console" && return 1; }
	jq -s add "$work/result.json"
}

tell_speed() {
	jq -rs 'add | "# \(.content_bytes) bytes in \(.seconds) s: \(.content_bytes / .seconds / 1024 | floor) KiB/s, " +
		"\(.wire_bytes) on the wire, \(.lost_packets) packets lost"' "$work/result.json"
}

equal() {
	"$p2v" vhdx compare "$disk" "$work/jobs/$1/disk0.vhdx"
}

# result FILTER: of the last run.
result() {
	jq -es "add | $1" "$work/result.json"
}

# Data in four places, far enough from each other that all connections have something to do.
make_disk() {
	local place

	truncate -s 256M "$disk"
	for place in 1 2 3 4; do
		dd if=/dev/urandom of="$disk" bs=1M seek=$((place * 64 - 32)) count=4 conv=notrunc status=none
	done
}

# One block of 64 KiB in a hundred becomes something else.
change() {
	local block

	for block in $(shuf -i 0-4095 -n 41); do
		dd if=/dev/urandom of="$disk" bs=64K seek="$block" count=1 conv=notrunc status=none
	done
}

# 8 MiB have come.
has_some() {
	[ "$(stat -c %b "$work/jobs/dying/disk0.vhdx" 2>/dev/null || echo 0)" -gt 16384 ]
}

# The guest, which has to boot first, is killed when a part of the disk has come.
die_in_the_middle() {
	local guest has_come=true

	send_from_guest dying &
	guest=$!
	soon -p $guest -t 300 has_some || has_come=false
	kill -KILL $guest
	wait $guest
	$has_come || { cat "$work/console" && return 1; }
	"$p2v" vhdx info --json "$work/jobs/dying/disk0.vhdx" | jq -e .incomplete && is_not job_is_complete dying
}

make_disk
check 'a receiver' start_receiver
cp "$work/jobs/.pairing-key" "$work/key"
check 'a first run' send line
tell_speed
check 'over a line that loses packets' result '.lost_packets > 0'
check 'is equal' equal line
change
check 'a difference is noticed' is_not equal line
check 'a second run' send line
tell_speed
check 'is equal' equal line
check 'and costs what changed' result '.content_bytes <= 41 * 65536'
check 'a server that dies leaves what is not complete' die_in_the_middle
check 'it is sent again' send dying
tell_speed
check 'but not what was there' result '.content_bytes < 16777216'
check 'is equal' equal dying
finish
