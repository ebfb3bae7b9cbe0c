#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v-agent: one static file that runs in a root with nothing else in it, scans
# the machine and sends an image to a receiver, by number and by name.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

agent=$build/bin/p2v-agent
bare=$work/bare
[ "$(id -u)" = 0 ] || skip 'chroot wants root'

# The C library is asked to look names up by a module that nobody has: ours must not listen.
make_root() {
	mkdir -p "$bare/etc" "$bare/sys" "$bare/proc"
	cp "$agent" "$bare/agent"
	echo 'hosts: nobody-has-this [!UNAVAIL=return]' >"$bare/etc/nsswitch.conf"
	echo '127.0.0.1 receiver.example' >"$bare/etc/hosts"
}

is_static() {
	file_says=$(readelf -d "$agent")
	echo "$file_says"
	! grep -q NEEDED <<<"$file_says" && ! readelf -l "$agent" | grep INTERP
}

is_small() {
	stat -c 'bytes: %s' "$agent"
	[ "$(stat -c %s "$agent")" -lt $((12 << 20)) ]
}

scan_machine() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m sh -c 'mount --rbind /sys "$0/sys" && mount -t proc proc "$0/proc" && chroot "$0" /agent scan --json' \
		"$bare" >"$work/scan.json" && jq -e '.memory_bytes > 0 and (.disks | length > 0) and (.tracking | has("tier") or has("error"))' "$work/scan.json"
}

send() {
	chroot "$bare" /agent send "$1:$port" --key-file /key --disk /disk.img --name "$2"
}

equal() {
	"$p2v" vhdx compare "$bare/disk.img" "$work/jobs/$1/disk0.vhdx"
}

is_usage() {
	local status=0

	chroot "$bare" /agent scan /disk.img 2>"$work/usage.err" || status=$?
	cat "$work/usage.err"
	[ $status = 2 ] && grep -q 'this machine only' "$work/usage.err"
}

make_root
truncate -s 40M "$bare/disk.img"
dd if=/dev/urandom of="$bare/disk.img" bs=1M count=7 seek=11 conv=notrunc status=none
check 'it is static' is_static
check 'a shared program is not' is_not test -z "$(readelf -d "$p2v" | grep NEEDED)"
check 'it has less than 12 MiB' is_small
check 'it scans the machine' scan_machine
check 'it does not look into images' is_usage
check 'a receiver starts' start_receiver
cp "$work/jobs/.pairing-key" "$bare/key"
check 'it sends to a number' send 127.0.0.1 number
check 'what came is equal' equal number
check 'it sends to a name in /etc/hosts' send receiver.example name
check 'what came is equal' equal name
check 'a name that nobody knows is told' is_not send nobody.invalid none
finish
