#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Arrays, volumes and several paths on a server that was started from the boot
# medium: RAID 1 with LVM on it is looked at and closed again, a disk with two
# paths is one disk and is sent when one path is gone; nothing is written.
# The kernel and initramfs of the network folder are started by QEMU, with a
# shell on the serial port.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2016,SC2034,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
wwn=0x5000c500a1b2c3d4

# A file system on a partition, behind two controllers.
make_path_disk() {
	mkdir "$work/tree"
	head -c 12M /dev/urandom >"$work/tree/noise"
	echo 'seen through two paths' >"$work/tree/readme"
	truncate -s 30M "$work/fs"
	mkfs.ext4 -q -F -d "$work/tree" "$work/fs"
	truncate -s 32M "$work/paths"
	sfdisk -q "$work/paths" <<<$'label: gpt\n2048,30M,L'
	dd if="$work/fs" of="$work/paths" bs=1M seek=1 conv=notrunc status=none
}

starts() {
	with_pipe monitor ''
	start_shell "${pipe[@]}" -mon monitor,mode=readline \
		"${drives[@]}" -device megasas,id=raid \
		-device scsi-hd,drive=disk0,bus=raid.0,scsi-id=0 -device scsi-hd,drive=disk1,bus=raid.0,scsi-id=1 \
		-blockdev "driver=raw,node-name=paths,file.driver=file,file.filename=$work/paths" \
		-device virtio-scsi-pci,id=first -device virtio-scsi-pci,id=second \
		-device scsi-hd,id=path0,drive=paths,bus=first.0,wwn=$wwn,serial=PATHS,share-rw=on \
		-device scsi-hd,id=path1,drive=paths,bus=second.0,wwn=$wwn,serial=PATHS,share-rw=on \
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=
}

# sends DEVICE: what is there is the file PATHS.
sends() {
	runs "umask 077; echo $key >/run/key; p2v-agent send --key-file /run/key --name paths --disk $1 10.0.2.2:$port" &&
		job_is_complete paths
}

check 'disks with two paths' make_path_disk
sample_disks c
paths=$(hash_of "$work/paths")
check 'the receiver starts' start_receiver
key=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$work/jobs/.pairing-key")
check 'starts, with a shell' starts
check 'network' runs 'ip address add 10.0.2.15/24 dev eth0 && ip link set eth0 up'

check 'two paths are one disk' answers 'dmsetup table mpath1' 'multipath .* service-time '
check 'which scan tells' answers 'p2v-agent scan' 'mpath1'
check 'nothing is assembled by itself' lacks 'cat /proc/mdstat; ls /dev/mapper' '^md|files01'
check 'arrays and volumes' answers '/usr/lib/p2v/assemble' 'files01--vg-root'
check 'two arrays, read-only' answers 'grep -c "^md.*: active (read-only) raid1" /proc/mdstat' '^2$'
check 'a file system on a volume' answers \
	'mkdir -p /run/m && modprobe ext4 && mount -t ext4 -o ro,noload /dev/mapper/files01--vg-srv /run/m && cat /run/m/share/readme.txt && umount /run/m' \
	'what the office keeps here'
check 'one that would write is refused' is_not runs \
	'dd if=/dev/zero of=/dev/mapper/files01--vg-srv bs=4096 count=1 conv=fsync'
check 'and so is an array' is_not runs 'md=$(ls /dev/md* | grep -m1 "md[0-9]"); dd if=/dev/zero of=$md bs=4096 count=1 conv=fsync'
check 'nor is it resynchronised' lacks 'cat /proc/mdstat' 'resync|recovery'
check 'through two paths, read-only' answers \
	'for l in $(cat /run/p2v/loops); do losetup $l; done; blkid -o device 2>/dev/null; ls /dev/mapper' 'mpath1'
check 'a transfer may run meanwhile' sends /dev/mapper/mpath1
check 'the copy is equal' "$p2v" vhdx compare "$work/jobs/paths/disk0.vhdx" "$work/paths"
check 'all is closed again' runs '/usr/lib/p2v/disassemble'
check 'nothing is left of it' lacks 'cat /proc/mdstat; ls /dev/mapper; losetup -a' '^md|files01|loop'

check 'one path is gone' eval 'echo "device_del path0" >"$work/monitor.in"'
rm -rf "$work/jobs/paths"
check 'the disk is sent through the other' sends /dev/mapper/mpath1
check 'that copy is equal, too' "$p2v" vhdx compare "$work/jobs/paths/disk0.vhdx" "$work/paths"
stop_machine
check 'nothing was written to the disks of the array' nothing_written
check 'nor to the one with two paths' same_content "$work/paths" "$paths"
finish
