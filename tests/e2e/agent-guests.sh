#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v-agent under the kernels of several Debian releases, with busybox and nothing
# else: it scans the machine and sends its disk. The agent is static, so of a
# release's software only the kernel can make a difference to it; that it wants no
# file of the server is shown by fast-agent.sh as well.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

export TMPDIR=$work # for the guests, too
disk=$work/disk.img
size_bytes=$((64 << 20))
serial=P2V-GUEST-0001

# One boot answers it all. What to send is the agent's choice. The results travel as an archive.
# shellcheck disable=SC2016 # for the guest's shell
questions='
mkdir /out
cd /out
uname -r >release
p2v-agent scan --json --used >scan.out 2>scan.err
echo $? >scan.status
for key in wrong right; do
	p2v-agent send "10.0.2.2:$port" --key-file "/$key" --all --name "$suite-$key" \
		>$key.out 2>$key.err
	echo $? >$key.status
done
tar -c .'

# A partition with files, and what no file system knows of behind it.
make_disk() {
	truncate -s 40M "$work/fs"
	mkfs.ext4 -q -F -d "$root/tests" "$work/fs" &&
		truncate -s $size_bytes "$disk" &&
		sfdisk -q "$disk" <<<$'label: gpt\n2048,40M,L' &&
		dd if="$work/fs" of="$disk" bs=1M seek=1 conv=notrunc status=none &&
		dd if=/dev/urandom of="$disk" bs=1M seek=42 count=20 conv=notrunc status=none
}

# boot SUITE: its answers are in $work/SUITE.
boot() {
	local answers=$work/$1

	mkdir "$answers"
	"$root/tests/lib/agent-guest" --disk "$disk" --serial $serial --file "$work/right" --file "$work/wrong" \
		"$1" "suite=$1 port=$port; $questions" >"$answers.tar" &&
		tar -x -C "$answers" -f "$answers.tar"
}

runs_kernel() {
	grep . "$work/$1/release" && [ "$(cat "$work/$1/release")" = "$2" ]
}

# ended SUITE RUN STATUS: a run of the agent did, with that exit code.
ended() {
	cat "$work/$1/$2.err" "$work/$1/$2.status"
	[ "$(cat "$work/$1/$2.status")" = "$3" ]
}

# shellcheck disable=SC2016 # jq's
sees_disk() {
	ended "$1" scan 0 &&
		jq -e --arg serial $serial --argjson size $size_bytes '.memory_bytes > 0 and
			any(.disks[]; .source == "/dev/vda" and .serial == $serial and .size_bytes == $size) and
			any(.used[].pieces[]; .kind == "ext4" and .used_bytes < .size_bytes / 2)' "$work/$1/scan.out"
}

is_refused() {
	ended "$1" wrong 3 && grep 'another pairing key' "$work/$1/wrong.err" && [ ! -e "$work/jobs/$1-wrong" ]
}

is_whole() {
	ended "$1" right 0 && job_is_complete "$1-right"
}

equal() {
	"$p2v" vhdx compare "$disk" "$work/jobs/$1-right/disk0.vhdx"
}

is_known_by_serial() {
	jq -e --arg serial $serial '.disks | length == 1 and .[0].id == $serial' "$work/jobs/$1-right/job.json"
}

check 'a disk' make_disk
check 'a receiver' start_receiver
cp "$work/jobs/.pairing-key" "$work/right"
check 'a key that is not its own' make_other_key "$work/wrong"
hash=$(hash_of "$disk")
tried=''
for suite in bullseye bookworm trixie; do
	# Mirrors drop old releases.
	if ! release=$("$root/tests/lib/agent-guest" --fetch "$suite"); then
		echo "no kernel of $suite to be had: left out"
		continue
	fi
	tried=$suite
	check "$suite: a guest" boot "$suite"
	check "$suite: has kernel $release" runs_kernel "$suite" "$release"
	check "$suite: the scan knows the disk, and what of it is used" sees_disk "$suite"
	check "$suite: another key is refused, and leaves nothing" is_refused "$suite"
	check "$suite: the disk is sent" is_whole "$suite"
	check "$suite: and equal" equal "$suite"
	check "$suite: the job knows it by its serial number" is_known_by_serial "$suite"
	check "$suite: it has not been written to" same_content "$disk" "$hash"
done
check 'there was a kernel to try' test -n "$tried"
printf 'other' | dd of="$disk" bs=1 seek=$((50 << 20)) conv=notrunc status=none
check 'a difference would have been noticed' is_not equal "$tried"
finish
