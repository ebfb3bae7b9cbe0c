#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v-agent send --live under the kernels of several Debian releases, with busybox and
# nothing else, by every tier of tracking: while the disk is written to, by somebody
# whom the cutover has to stop, it is brought over, and the copy is what the guest itself
# reads from its disk then. P2V_LIVE_SUITES, P2V_LIVE_TIERS: which.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

export TMPDIR=$work # for the guests, too
disk=$work/disk.img
tiers=${P2V_LIVE_TIERS:-bpf blktrace hash}

# Who writes ends between two writes. Of each tier the guest tells how the sender ended, what that said, and the hash
# of its disk.
# shellcheck disable=SC2016 # for the guest's shell
commands='
writes() {
	i=0
	while [ ! -e /stop ]; do
		i=$(((i * 1103 + 12345) % 15000))
		dd if=/dev/urandom of=/dev/vda bs=4k seek=$i count=$((i % 5 + 1)) conv=notrunc oflag=direct 2>/dev/null
		usleep 20000
	done
	touch /stopped
}
mkdir /out /run
for tier in $tiers; do
	rm -f /stop /stopped
	writes &
	job=$suite-$(echo "$tier" | tr , -)
	p2v-agent send "10.0.2.2:$port" --key-file /key --disk /dev/vda --name "$job" --live --all --cutover \
		--downtime 60 --max-freeze 120 --fence none --tracker "$tier" \
		--pre-freeze "touch /stop; until [ -e /stopped ]; do usleep 10000; done" >"/out/$tier.said" 2>&1
	echo $? >"/out/$tier.status"
	sha256sum </dev/vda >"/out/$tier.hash"
	touch /stop
	wait
done
tar -c -C /out .'

# boot SUITE: its answers are in $work/SUITE.
boot() {
	truncate -s 0 "$disk"
	truncate -s 64M "$disk"
	mkdir "$work/$1"
	"$root/tests/lib/agent-guest" --timeout 900 --disk "$disk" --file "$work/key" --log "$work/console" "$1" \
		"suite=$1 port=$port tiers='$tiers'; $commands" >"$work/$1.tar" && tar -x -C "$work/$1" -f "$work/$1.tar"
}

# captured SUITE TIER
captured() {
	cat "$work/$1/$2.said"
	[ "$(cat "$work/$1/$2.status")" = 0 ] && job_is_complete "$1-${2//,/-}"
}

# by_tier SUITE TIER: it said so.
by_tier() {
	local words

	case $2 in
	bpf*) words='every request is marked in the kernel when it begins' ;;
	tracepoints*) words='every request is marked in the kernel by what its trace points tell' ;;
	blktrace) words="in the kernel's log" ;;
	hash) words='everything is read and compared' ;;
	esac
	grep "$words" "$work/$1/$2.said" && case $2 in *,no-mmap) grep 'marks are copied' "$work/$1/$2.said" ;; esac
}

# equal SUITE TIER
equal() {
	rm -f "$work/copy.img"
	"$p2v" vhdx convert "$work/jobs/$1-${2//,/-}/disk0.vhdx" "$work/copy.img" >/dev/null &&
		same_content "$work/copy.img" "$(cut -d' ' -f1 "$work/$1/$2.hash")"
}

check 'a receiver' start_receiver
cp "$work/jobs/.pairing-key" "$work/key"
tried=''
for suite in ${P2V_LIVE_SUITES:-bullseye bookworm trixie}; do
	# Mirrors drop old releases.
	if ! "$root/tests/lib/agent-guest" --fetch "$suite" >/dev/null; then
		echo "no kernel of $suite to be had: left out"
		continue
	fi
	tried=$suite
	check "$suite: a guest" boot "$suite"
	for tier in $tiers; do
		check "$suite, $tier: a disk that is written to is captured" captured "$suite" "$tier"
		check "$suite, $tier: by that tier" by_tier "$suite" "$tier"
		check "$suite, $tier: the copy is the disk" equal "$suite" "$tier"
	done
done
check 'there was a kernel to try' test -n "$tried"
printf 'other' | dd of="$work/copy.img" bs=1 seek=$((5 << 20)) conv=notrunc status=none
check 'a difference would have been noticed' is_not same_content "$work/copy.img" "$(cut -d' ' -f1 "$work/$tried/${tiers##* }.hash")"
finish
