# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154
#
# A "server" for tests of p2v send --live: a file system on a loop device, written to all the time. To be
# sourced after work.sh and receiver.sh.
#
# loop and mounted are its disk and where that is mounted; the disk's file is $work/disk.img.
# P2V_LIVE_LOAD=fio: fio writes, harder.
mounted=$work/mounted
writer=
loop=

# make_server KIND MIB: of a disk that is full of rubbish.
make_server() {
	# A new file: a namespace that another test made meanwhile may still hold the last one's file system, which
	# writes to its own when it goes.
	rm -f "$work/disk.img"
	head -c "$2M" /dev/urandom >"$work/disk.img"
	loop=$(losetup -f --show "$work/disk.img") || skip 'no loop devices here'
	case $1 in
	ext4) mkfs.ext4 -q -E nodiscard "$loop" ;;
	xfs | btrfs) "mkfs.$1" -q -f -K "$loop" ;;
	esac && mkdir -p "$mounted" && mount "$loop" "$mounted" || return
	"write_by_${P2V_LIVE_LOAD:-dd}" &
	writer=$!
	soon -p "$writer" is_written
}

is_written() {
	[ -n "$(find "$mounted" -type f -size +0)" ]
}

write_by_dd() {
	local i=0
	while :; do
		dd if=/dev/urandom of="$mounted/$((RANDOM % 8))" bs=32k count=$((RANDOM % 24 + 1)) \
			seek=$((RANDOM % 16)) conv=notrunc,fsync status=none || true
		[ $((i++ % 7)) != 0 ] || rm -f "$mounted/$((RANDOM % 8))"
		sleep 0.05
	done
}

# One process: small writes and large ones, by the page cache and around it, and holes.
write_by_fio() {
	exec fio --thread --directory="$mounted" --nrfiles=6 --filesize=256k-1m --time_based --runtime=100000 --ioengine=psync \
		--name=cached --rw=randwrite --bsrange=4k-256k --fsync=32 --thinktime=5000 \
		--name=direct --rw=randwrite --bs=4k --direct=1 --rate_iops=300 \
		--name=holes --ioengine=falloc --rw=randtrim --bs=64k --rate_iops=,,40 \
		--name=again --filename=holes.0.0:holes.0.1:holes.0.2 --rw=randwrite --bs=64k --rate_iops=30 >/dev/null 2>&1
}
[ "${P2V_LIVE_LOAD:-dd}" != fio ] || "$root/tests/lib/install-packages" fio

# Frozen or not.
end_server() {
	[ -n "$loop" ] || return 0
	[ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
	fsfreeze --unfreeze "$mounted" 2>/dev/null || true
	[ -z "$writer" ] || wait "$writer" 2>/dev/null || true
	soon umount "$mounted" 2>/dev/null || true
	losetup -d "$loop"
	writer='' loop=''
}
cleanup_commands+=(end_server)

# Freezing what is frozen already fails.
is_frozen() {
	! fsfreeze --freeze "$mounted" 2>/dev/null || { fsfreeze --unfreeze "$mounted" && false; }
}

# equal JOB: the copy is the disk, byte by byte.
equal() {
	"$p2v" vhdx compare "$work/disk.img" "$work/jobs/$1/disk0.vhdx"
}
