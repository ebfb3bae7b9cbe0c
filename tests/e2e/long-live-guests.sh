#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Servers that work hard are captured from inside, as their administrator would do it: a
# Debian server in QEMU with PostgreSQL, fio, package installs, fstrim, swapping, and a
# file system that grows meanwhile. After the cutover it stays frozen and is switched
# off; what was received is held against its disks, converted, and booted, and there
# everything is looked at again: each file's checksums, and that no row is missing that
# was acknowledged outside of the server before it was frozen (tests/lib/guest-verify).
#
# Captures with an odd number send everything, and are equal to the byte outside swap;
# the others leave out what is free, and are equal file by file.
#
# P2V_LIVE_GUESTS: which layouts (tests/lib/sample/d.sh); P2V_LIVE_CAPTURES: how many of
# each (1).
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/loaded-server.sh"

[ "$(id -u)" = 0 ] || skip 'only root may make the servers, and mount their copies'
forecast='cutover now would take'

# What is in_server's when it is called: the file of its sender's messages, and its disks as that wants them.
# shellcheck disable=SC2016 # for the server's shell
send='
disks=
for disk in /dev/disk/by-id/ata-*_S1D0C00[12]; do disks="$disks --disk $(readlink -f "$disk")"; done
{
	p2v-agent send "10.0.2.2:$port" --key-file /root/key --name "$job" $disks --live --max-freeze 200 \
		--pre-freeze "guest-load rest" $options
	echo $? >/run/capture.status
} >/run/capture.out 2>&1 &'

is_working() {
	soon -p "$server_pid" -t "$server_time" said '^now' && soon -p "$server_pid" -t "$server_time" said '^row [0-9]{2}' &&
		soon -p "$server_pid" -t "$server_time" said '^laid'
}

# tells N: so many passes have told how long a cutover would take.
tells() {
	soon_in_server "[ \"\$(grep -c '$forecast' /run/capture.out)\" -ge $1 ] || [ -e /run/capture.status ]" || true
	in_server 'tail -n 30 /run/capture.out; [ ! -e /run/capture.status ]'
}

# It is known then where on the disks what is.
grows() {
	in_server 'guest-load grow' && in_server 'guest-load places' >"$work/places" && cat "$work/places" &&
		[ "$(wc -l <"$work/places")" -ge 3 ]
}

# Sets cutover_s: from the order to the end.
cuts_over() {
	local started=$SECONDS

	in_server "p2v-agent cutover '$job' || { tail -n 30 /run/capture.out && false; }" &&
		cutover_s=$((SECONDS - started)) && soon_in_server 'grep -x 0 /run/capture.status'
}

# While it is frozen nothing can be acknowledged.
stays_frozen() {
	local row
	row=$(last_said row)
	sleep 10
	[ "$(last_said row)" = "$row" ]
}

# make_copies: sets copies, what was received as images.
make_copies() {
	local n

	copies=()
	for n in "${!server_disks[@]}"; do
		copies+=("$work/copy-disk$n.raw")
		rm -f "${copies[n]}"
		"$p2v" vhdx convert "$work/jobs/$job/disk$n.vhdx" "${copies[n]}" || return
	done
}

# index_of SERIAL: of that disk.
index_of() {
	local n
	for n in "${!HW_C_DISK_SERIALS[@]}"; do
		[ "${HW_C_DISK_SERIALS[n]}" != "$1" ] || echo "$n"
	done
}

# Where swap was there is nothing any more; and an array, which goes on to note in its bitmap what is equal when
# nobody writes any more, keeps that from being compared.
leave_out_swap() {
	local kind serial start length n

	while read -r kind serial start length; do
		case $kind in swap | array) ;; *) continue ;; esac
		n=$(index_of "$serial")
		fallocate --punch-hole --offset "$start" --length "$length" "${server_disks[n]}"
		fallocate --punch-hole --offset "$start" --length "$length" "${copies[n]}"
	done <"$work/places"
}

equal_outside_swap() {
	local n

	leave_out_swap
	for n in "${!copies[@]}"; do
		"$p2v" vhdx compare "${server_disks[n]}" "${copies[n]}" || return
	done
}

# look_at IMAGE START LENGTH KIND: prints what its files hold, and whether it is clean, as its own checker sees it
# when it was mounted once.
look_at() {
	local device status=0 options=''

	[ "$4" != xfs ] || options=nouuid
	device=$(losetup -f --show --offset "$2" --sizelimit "$3" "$1") || return
	mkdir -p "$work/mounted"
	# Mounted where nobody else sees it: a namespace that somebody makes meanwhile would keep it so.
	# shellcheck disable=SC2016 # for the other shell
	unshare --mount --propagation private bash -euo pipefail -c '
		mount -t "$3" ${4:+-o "$4"} "$1" "$2"
		cd "$2"
		find . -type f -printf "%p %s %n %m %U\n" | sort
		find . -type f ! -path ./var/lib/load/swap -print0 | sort -z | xargs -0 sha256sum
		cd /
		umount "$2"' look "$device" "$work/mounted" "$4" "$options" || status=$?
	case $4 in
	ext4) e2fsck -f -n "$device" ;;
	xfs) xfs_repair -n "$device" ;;
	btrfs) btrfs check "$device" ;;
	esac >"$work/fsck" 2>&1 || { status=$? && cat "$work/fsck" >&2; }
	losetup -d "$device"
	return $status
}

# Of each file system, clean and with the same files at both ends.
files_are_equal() {
	local kind serial start length n

	while read -r kind serial start length; do
		case $kind in swap | array) continue ;; esac
		n=$(index_of "$serial")
		look_at "${server_disks[n]}" "$start" "$length" "$kind" >"$work/wanted" &&
			look_at "${copies[n]}" "$start" "$length" "$kind" >"$work/found" || return
		cmp "$work/wanted" "$work/found" && [ "$(wc -l <"$work/found")" -gt 10 ] || return
	done <"$work/places"
}

converts() {
	"$p2v" convert "$work/jobs/$job" --to kvm --out "$work/out"
}

verifies() {
	"$root/tests/lib/boot-machine" --password p2v-sample --timeout 400 --mac "$HW_C_MAC" --log "$work/booted" \
		--exec "last_row=$(last_said row) laid='$(tr -d '\r' <"$work/outside" | sed -n 's/^laid //p' | paste -sd' ')'
$(cat "$root/tests/lib/guest-verify")" kvm-bios "$work/out/$job"/*.vhdx | tee "$work/verdict"
	grep -q '^rows: ' "$work/verdict"
	return "${PIPESTATUS[0]}"
}

# tell: the figures of this capture.
tell() {
	grep -E 'pass |is complete' "$work/capture.out" | sed 's/^/# /' | tail -n 12
	echo "# $job: $(grep -c "$forecast" "$work/capture.out") forecasts, cutover in ${cutover_s:-?} s," \
		"$(last_said row) rows acknowledged," \
		"$(grep -c churned "$work/outside") times churned, $(grep -c trimmed "$work/outside") trimmed"
	sed "s/^/# $job: /" "$work/verdict" 2>/dev/null || true
}

# capture LAYOUT NUMBER
capture() {
	local job=$1-$2 options='' started=$SECONDS

	[ $(($2 % 2)) = 0 ] || options=--all
	rm -f "$work/verdict"
	check "$job: a server starts" start_server "$1"
	check "$job: it works" in_server 'guest-load start'
	check "$job: on everything" is_working
	check "$job: it is being captured" in_server "port=$port job=$job options=$options; $send"
	check "$job: all was sent once" tells 1
	check "$job: its file system grows" grows
	check "$job: it is sent what changes" tells 4
	check "$job: it is cut over" cuts_over
	in_server 'cat /run/capture.out' >"$work/capture.out" || true
	check "$job: it stays frozen" stays_frozen
	switch_off
	check "$job: the job is complete" job_is_complete "$job"
	check "$job: there are copies" make_copies
	[ -z "$options" ] || check "$job: they are the frozen disks outside swap" equal_outside_swap
	check "$job: file systems are clean, their files equal" files_are_equal
	rm -f "$work"/copy-disk* "$work"/server-disk*
	check "$job: it is converted" converts
	check "$job: the machine boots, and has everything" verifies
	tell
	rm -rf "$work/out" "$work/jobs/${job:?}"
	echo "# $job: $((SECONDS - started)) s"
}

check 'a receiver starts' start_receiver
for layout in ${P2V_LIVE_GUESTS:-ext4 xfs btrfs lvm md}; do
	for number in $(seq "${P2V_LIVE_CAPTURES:-1}"); do
		capture "$layout" "$number"
		end_server
	done
done
finish
