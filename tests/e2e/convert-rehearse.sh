#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A conversion is rehearsed while the server works and its disk is brought over:
# what can be converted boots from a copy, what cannot is named, what cannot be
# told is said to be so; and the job is what it was.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/working-disk.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and mount'
job=$work/jobs/server

rehearse() {
	TMPDIR=$work/tmp "$p2v" convert "$job" --rehearse --to kvm "$@"
}

status_is() {
	"$p2v" status --dir "$work/jobs" >"$work/status"
	cat "$work/status"
	grep -q "rehearsed .*: $1" "$work/status"
}

# A pass is over that has something of what was written since now.
pass_comes() {
	local before
	before=$(passes server)
	date >"$mounted/root/mark"
	sync -f "$mounted"
	soon -p "$sender" is_more server "$before"
}

# All that was written up to now is there: the first pass to end may have begun before.
sends_on() {
	pass_comes && pass_comes
}

hash_job() {
	(cd "$job" && find . -type f ! -name rehearsal.json -print0 | sort -z | xargs -0 sha256sum)
}

no_copies_left() {
	nothing_left "$work/tmp" && [ -z "$(find "$work/jobs" -maxdepth 1 -name '.p2v*')" ]
}

# An ext4 of which only what says so is right.
make_damaged() {
	truncate -s 64M "$work/damaged.img"
	mkfs.ext4 -q -F -b 4096 "$work/damaged.img"
	dd if=/dev/urandom of="$work/damaged.img" bs=4k seek=1 count=16 conv=notrunc status=none
}

damaged() {
	local sender loop job=$work/jobs/damaged
	make_damaged
	loop=$(losetup -f --show "$work/damaged.img") || return
	start_sending damaged "$loop"
	check 'a damaged disk is brought over' soon -p "$sender" is_more damaged 0
	check 'what may come from the server writing cannot be told' refuses 1 'could not be told: .*damaged' \
		rehearse
	check 'and is not called what it need not be' status_is 'could not be told'
	stop_sending damaged
}

mkdir "$work/tmp"
make_working_disk a || skip 'no loop devices here'
check 'a receiver starts' start_receiver
check 'what is no job is not rehearsed' refuses 2 'are for a job' "$p2v" convert "$work/disk.img" --rehearse
check 'a proof is for a rehearsal' refuses 2 'is for a rehearsal' "$p2v" convert "$work/disk.img" --dry-run --prove
start_sending server "$loop" --limit 4M
check 'a job begins' soon -p "$sender" test -e "$job/job.json"
check 'before all of it is here there is nothing to rehearse' refuses 3 'first pass is not over' rehearse
stop_sending server
start_sending server "$loop"
check 'all of it is here' soon -p "$sender" is_more server 0
write_to_disk

check 'a server that works is converted and boots' rehearse --prove
check 'this is known' status_is 'would convert; boots'
check 'it is brought over as before' sends_on
# Of one moment, so that there is no doubt about what is not there.
stop_writing
mv "$mounted/etc" "$mounted/etc.gone"
sync -f "$mounted"
check 'its next pass comes' sends_on
check 'what cannot be converted is named' refuses 3 'no operating system found' rehearse
check 'this is known, too' status_is 'cannot be converted: no operating system'
mv "$mounted/etc.gone" "$mounted/etc"
sync -f "$mounted"
# The pass in which the sender ends has nothing to bring.
check 'when that is mended' sends_on
stop_sending server
before=$(hash_job)
rehearse_as_json() {
	rehearse --json >"$work/rehearsal.json"
}
check 'it can be converted again' rehearse_as_json
check 'and says so' jq -e '.rehearsal | .verdict == "would convert" and .reason == null' "$work/rehearsal.json"
check 'what would be changed is told' jq -e '.dry_run and ([.changes[].path] | index("/etc/fstab"))' "$work/rehearsal.json"
check 'the job is what it was' [ "$before" = "$(hash_job)" ]
check 'no copy stays' no_copies_left
check 'the job goes on' start_sending server "$loop" --cutover --downtime 20
check 'up to its end' wait "$sender"
check 'and is what the server is' equal server
thaw_disk
damaged
check 'no copy stays here either' no_copies_left
finish
