#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The tracker under the kernels of several Debian releases: each runs the tests of
# capture/track.h on a disk of its own, by every tier that it has to have, while its
# clock jumps.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

export TMPDIR=$work # for the guests, too
program=$build/tests/capture/test-track
disk=$work/disk.img

# The test program with the libraries that it is linked to, which the guest does not have.
pack_program() {
	mkdir "$work/tree"
	cp "$program" "$work/tree"
	ldd "$program" | grep -o '/[^ ]*' | xargs -I FILE cp -L --parents FILE "$work/tree" &&
		tar -c -C "$work/tree" -f "$work/program.tar" .
}

# The size that the tests want of their disk.
make_disk() {
	rm -f "$disk"
	truncate -s $(((48 << 20) + 12 * 512)) "$disk"
}

# shellcheck disable=SC2016 # for the guest's shell
commands='
tar -x -C / -f /program.tar
mkdir -p /dev/shm
(while sleep 1; do date -s @0; sleep 1; date -s @2000000000; done) >/dev/null 2>&1 &
P2V_TRACK_DEVICE=/dev/vda P2V_TRACK_TIERS="$tiers" /test-track 2>&1'

# track SUITE TIERS
track() {
	make_disk
	"$root/tests/lib/agent-guest" --timeout 1200 --disk "$disk" --file "$work/program.tar" \
		--log "$work/console" "$1" "tiers='$2'; $commands"
}

[ -x "$program" ] || skip "no $program"
check 'the program with its libraries' pack_program
for suite in ${P2V_TRACK_SUITES:-bullseye bookworm trixie}; do
	# Mirrors drop old releases.
	if ! "$root/tests/lib/agent-guest" --fetch "$suite" >/dev/null; then
		echo "no kernel of $suite to be had: left out"
		continue
	fi
	check "$suite: every way to write is seen by every tier" track "$suite" \
		'bpf bpf,no-mmap tracepoints tracepoints,no-mmap blktrace'
done
finish
