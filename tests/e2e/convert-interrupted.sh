#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Ctrl-C and SIGKILL at 20 random moments of a conversion: nothing under its
# final name, no folder, process or socket left, the source unchanged, and the
# next run works.  Killed while libguestfs's appliance is built, it leaves nothing
# in libguestfs's cache folder either.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

rounds=${P2V_TEST_ROUNDS:-20}
disk=$("$root/tests/lib/make-sample" a)
before=$(hash_of "$disk")
out=$work/out
mkdir "$work/tmp"
export TMPDIR=$work/tmp

convert() {
	"$p2v" convert "$disk" --to kvm --name x --out "$out"
}

# gone: all that names our folder on its command line has ended, within a few seconds.
gone() {
	for _ in $(seq 100); do
		pgrep -f "$work/" >/dev/null || return 0
		sleep 0.1
	done
	pgrep -af "$work/"
	return 1
}

# Nothing hidden either; but a run may have ended just before it was killed, and is then whole.
nothing_or_all() {
	[ ! -e "$out/x" ] || { "$p2v" vhdx check "$out/x/x-disk1.vhdx" && jq -e . "$out/x/report.json" && rm -r "$out/x"; } || return
	nothing_left "$out"
}

nothing_in_tmp() {
	[ -z "$(find "$work/tmp" -mindepth 1)" ] || { find "$work/tmp" && return 1; }
}

# How long a whole run takes here and now, so that the moments cover all of it.
started=$(date +%s%N)
check 'a run without interruption works' convert
whole_ms=$((($(date +%s%N) - started) / 1000000))
rm -rf "$out"
RANDOM=${P2V_TEST_SEED:-$$}
echo "# a run takes $whole_ms ms; seed ${P2V_TEST_SEED:-$$}"

for round in $(seq "$rounds"); do
	moment_ms=$(((RANDOM * 32768 + RANDOM) % whole_ms))
	signal=INT
	[ $((round % 2)) = 0 ] || signal=KILL
	# A background job of a script ignores SIGINT, unless it asks not to.
	setsid env --default-signal=INT "$p2v" convert "$disk" --to kvm --name x --out "$out" >/dev/null 2>&1 &
	victim=$!
	sleep "$((moment_ms / 1000)).$(printf '%03d' $((moment_ms % 1000)))"
	if ! kill -"$signal" "$victim" 2>/dev/null; then
		wait "$victim" || true
		rm -rf "$out"
		continue
	fi
	wait "$victim" 2>/dev/null || true
	check "$signal after $moment_ms ms: no process left" gone
	check "$signal after $moment_ms ms: nothing under its final name" nothing_or_all
	check "$signal after $moment_ms ms: no socket or folder left" nothing_in_tmp
done

# killed_while_building: in a cache folder where the appliance is missing, or older than its packages.
cache=$work/cache
mkdir "$cache"
build_begins() {
	for _ in $(seq 600); do
		[ -z "$(find "$cache" -path '*/appliance.d.*' -name 'appliance.d.*')" ] || return 0
		sleep 0.1
	done
	return 1
}
only_old_in_cache() {
	for _ in $(seq 100); do
		[ -n "$(find "$cache/.guestfs-$(id -u)" -mindepth 1 ! -name lock ! -path '*/appliance.d' ! -path '*/appliance.d/*' ! -name 'qemu-*')" ] || return 0
		sleep 0.1
	done
	find "$cache" && return 1
}
killed_while_building() {
	LIBGUESTFS_CACHEDIR=$cache "$p2v" scan "$disk" &
	local victim=$! status=0
	build_begins || status=$?
	kill -KILL "$victim"
	wait "$victim" || true
	[ "$status" = 0 ] && only_old_in_cache
}
check 'killed while the appliance is built for the first time' killed_while_building
check 'there is no appliance then' test ! -e "$cache/.guestfs-$(id -u)/appliance.d"
mkdir "$cache/.guestfs-$(id -u)/appliance.d"
touch -d 2001-01-01 "$cache/.guestfs-$(id -u)/appliance.d"
check 'killed while the appliance is built anew' killed_while_building
check 'the old one is still there' test -d "$cache/.guestfs-$(id -u)/appliance.d"
check 'no process left' gone

check 'the next run works' convert
check 'its result is whole' "$p2v" vhdx check "$out/x/x-disk1.vhdx"
check 'the source is unchanged' same_content "$disk" "$before"
finish
