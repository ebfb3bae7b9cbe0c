#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Servers of two disks ($P2V_RECEIVED_SERVERS) go over the network to a receiver,
# and from there into a conversion: refused while the job is being received, else
# all of its disks, with what the sender told of its machine; the result boots.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/two-machines.sh"

# find_disks SERVER: sets `disks`; as devices where that is possible, as of images the sender knows no machine.
find_disks() {
	local i loop

	mapfile -t disks < <("$root/tests/lib/make-sample" "$1")
	if [ "${#disks[@]}" = 1 ]; then
		truncate -s 64M "$work/data.img"
		mkfs.ext4 -q -L data -d "$root/tests/e2e" "$work/data.img"
		disks+=("$work/data.img")
	fi
	for i in 0 1; do
		if loop=$(losetup -f --show -r "${disks[i]}" 2>/dev/null); then
			cleanup_commands+=("losetup -d $loop")
			disks[i]=$loop
		fi
	done
}

# Its last command, so that $! names the very process: a function would be killed in its place.
send() {
	exec ip netns exec "$here" "$p2v" send 192.0.2.2 --key-file "$work/jobs/.pairing-key" --name "$server_name" \
		--disk "${disks[0]}" --disk "${disks[1]}" "$@"
}

send_all() {
	(send --all)
}

begin_and_stop() {
	send --limit 2M &
	soon -p $! test -e "$job/job.json" || return
	kill -KILL $!
	wait $! || true
}

# The same bytes at both ends.
equal() {
	local i
	for i in 0 1; do
		"$p2v" vhdx convert "$job/disk$i.vhdx" "$work/back.raw" || return
		[ "$(hash_of "$work/back.raw")" = "$(hash_of "${disks[i]}")" ] || return
		rm "$work/back.raw"
	done
}

knows_machine() {
	jq -e '[.disks[].file] == ["disk0.vhdx", "disk1.vhdx"]' "$job/machine.json" &&
		diff <(jq -S .cpu "$job/machine.json") <(jq -S .cpu "$out/machine.json") &&
		"$p2v" status --dir "$work/jobs" --json |
		jq -e --arg job "$server_name" '.jobs[] | select(.name == $job) | .machine.disks | length == 2'
}

goes_over() {
	local server_name=$1.example
	local job=$work/jobs/$server_name out=$work/out/$server_name before

	check "$1: a transfer begins and is cut off" begin_and_stop
	check "$1: what is not complete is refused" refuses 3 'not complete' "$p2v" convert "$job" --out "$work/out"
	check "$1: it is sent to the end" send_all
	check "$1: the copies are equal" equal
	check "$1: what was received is not changed in place" refuses 3 'not changed' "$p2v" convert "$job" --in-place
	check "$1: a job is a whole machine" refuses 2 'combined' "$p2v" convert "$job" "$job" --out "$work/out"
	before="$(hash_of "$job/disk0.vhdx") $(hash_of "$job/disk1.vhdx")"
	check "$1: a job is converted" "$p2v" convert "$job/" --to kvm --out "$work/out"
	# shellcheck disable=SC2016 # jq's
	check "$1: under its name, with both disks" jq -e --arg name "$server_name" \
		'.name == $name and (.disks | length == 2)' "$out/machine.json"
	check "$1: the data disk is as it was" "$p2v" vhdx compare "$out/$server_name-disk2.vhdx" "${disks[1]}"
	check "$1: the job is unchanged" [ "$before" = "$(hash_of "$job/disk0.vhdx") $(hash_of "$job/disk1.vhdx")" ]
	case ${disks[0]} in
	/dev/*) check "$1: the machine came with it" knows_machine ;;
	*) echo '# no loop devices here: what the sender tells of its machine is left out' ;;
	esac
	check "$1: the result boots" "$p2v" prove "$out"
}

check 'the receiver starts' start_receiver
for server in ${P2V_RECEIVED_SERVERS:-a2}; do
	find_disks "$server"
	goes_over "$server"
done
finish
