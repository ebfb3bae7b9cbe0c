#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A 1 TiB disk with little on it: p2v and the plugin's server stay below 200 MiB
# each, and the time goes with the data.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

limit_kib=$((200 * 1024))
disk=$("$root/tests/lib/make-sample" a)
cp --sparse=always "$disk" "$work/large.img"
truncate -s 1T "$work/large.img"

# peak PID: the most memory it ever had resident, in KiB; nothing when it is gone.
peak() {
	sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status" 2>/dev/null || true
}

"$p2v" convert "$work/large.img" --to kvm --name large --out "$work/out" >"$work/log" 2>&1 &
main=$!
own=0 served=0
while kill -0 $main 2>/dev/null; do
	now=$(peak $main)
	own=$((${now:-0} > own ? now : own))
	for child in $(pgrep -P $main nbdkit); do
		now=$(peak "$child")
		served=$((${now:-0} > served ? now : served))
	done
	sleep 0.05
done
status=0
wait $main || status=$?
cat "$work/log"
echo "# peak memory: p2v $((own / 1024)) MiB, nbdkit with our plugin $((served / 1024)) MiB"
check 'the conversion works' [ $status = 0 ]
check 'p2v was seen' [ $own -gt 1000 ]
check 'nbdkit was seen' [ $served -gt 1000 ]
check 'p2v below 200 MiB' [ $own -lt $limit_kib ]
check 'nbdkit below 200 MiB' [ $served -lt $limit_kib ]
check 'the result holds 1 TiB' bash -c "'$p2v' vhdx info --json '$work/out/large/large-disk1.vhdx' | jq -e '[.. | numbers] | index(1099511627776)'"
finish
