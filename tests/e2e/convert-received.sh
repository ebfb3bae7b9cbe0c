#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A job of p2v receive as the source of a conversion: refused while it is being
# received, else all of its disks, with what the sender told of its machine.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

mapfile -t disks < <("$root/tests/lib/make-sample" a2)

"$p2v" receive --dir "$work/jobs" --listen 127.0.0.1:0 >"$work/receiver.out" 2>"$work/receiver.err" &
receiver=$!
cleanup_commands+=("kill -KILL $receiver")
until grep -q '^listening' "$work/receiver.out"; do sleep 0.1; done
address=127.0.0.1:$(sed -n 's/^listening on .* port //p' "$work/receiver.out")

# Of devices the sender tells the machine, of images it knows none.
for i in 0 1; do
	if loop=$(losetup -f --show -r "${disks[i]}" 2>/dev/null); then
		cleanup_commands+=("losetup -d $loop")
		disks[i]=$loop
	fi
done

send() {
	"$p2v" send "$address" --key-file "$work/jobs/.pairing-key" --name web.example \
		--disk "${disks[0]}" --disk "${disks[1]}" "$@"
}

begin_and_stop() {
	timeout -s KILL 3 "$p2v" send "$address" --key-file "$work/jobs/.pairing-key" --name web.example \
		--disk "${disks[0]}" --disk "${disks[1]}" --limit 2M
	[ -e "$work/jobs/web.example/job.json" ]
}

job=$work/jobs/web.example
check 'a transfer begins and is cut off' begin_and_stop
check 'what is not complete is refused' refuses 3 'not complete' "$p2v" convert "$job" --out "$work/out"
check 'it is sent to the end' send --all
check 'what was received is not changed in place' refuses 3 'not changed' "$p2v" convert "$job" --in-place
check 'a job is a whole machine' refuses 2 'combined' "$p2v" convert "$job" "$job" --out "$work/out"
before="$(hash_of "$job/disk0.vhdx") $(hash_of "$job/disk1.vhdx")"
check 'a job is converted' "$p2v" convert "$job/" --to kvm --out "$work/out"
check 'under its name, with both disks' jq -e '.name == "web.example" and (.disks | length == 2)' \
	"$work/out/web.example/machine.json"
check 'the data disk is as it was' "$p2v" vhdx compare "$work/out/web.example/web.example-disk2.vhdx" "${disks[1]}"
check 'the job is unchanged' [ "$before" = "$(hash_of "$job/disk0.vhdx") $(hash_of "$job/disk1.vhdx")" ]
case ${disks[0]} in
/dev/*)
	check 'the machine came with it' jq -e '[.disks[].file] == ["disk0.vhdx", "disk1.vhdx"]' "$job/machine.json"
	check 'and is what the result knows' diff <(jq -S .cpu "$job/machine.json") \
		<(jq -S .cpu "$work/out/web.example/machine.json")
	check 'status shows it' bash -c "'$p2v' status --dir '$work/jobs' --json | jq -e '.[0].machine.disks | length == 2'"
	;;
*) echo 'no loop devices here: what the sender tells of its machine is left out' ;;
esac
finish
