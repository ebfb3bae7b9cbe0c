#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What cannot be converted: each is answered by one clear line, one that says
# what to do, the right exit code, and leaves nothing behind.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

out=$work/out
convert=("$p2v" convert --out "$out" --name x)

# A disk with one ext4 partition made from a folder: disk FILE FOLDER
make_disk() {
	truncate -s 64M "$1"
	sfdisk --quiet "$1" <<<'start=1MiB, type=83'
	mke2fs -q -t ext4 -E offset=$((1 << 20)) -d "$2" "$1" 60M
}

make_os_tree() {
	mkdir -p "$1"/{etc,boot,lib/modules,usr/bin,bin,sbin,var,proc}
	printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' >"$1/etc/os-release"
	echo 'UUID=0b1a9a9c-2d52-4d0f-8a53-0d2b63b6a0ad / ext4 defaults 0 1' >"$1/etc/fstab"
	cp /bin/true "$1/bin/sh"
}

refused() {
	check "$1" refuses "$2" "$3" "${@:4}"
	check "$1: nothing left" nothing_left "$out"
}

# Wrong words.
refused 'no source' 2 'no source' "${convert[@]}"
refused 'unknown target' 2 'azure' "${convert[@]}" --to azure "$work/x.img"
refused 'unknown option' 2 'colour' "${convert[@]}" --colour "$work/x.img"

# Files that are no disks.
touch "$work/empty.img"
head -c 4194304 /dev/urandom >"$work/random.img"
refused 'missing file' 3 'No such file' "${convert[@]}" "$work/none.img"
refused 'directory' 3 'folder' "${convert[@]}" "$work"
refused 'empty file' 3 'empty' "${convert[@]}" "$work/empty.img"
refused 'random bytes' 3 'no operating system' "${convert[@]}" "$work/random.img"

# A truncated VHDX.
head -c 3145728 /dev/urandom >"$work/small.img"
"$p2v" vhdx convert "$work/small.img" "$work/whole.vhdx"
head -c 2500000 "$work/whole.vhdx" >"$work/truncated.vhdx"
refused 'truncated VHDX' 3 'truncated.vhdx' "${convert[@]}" "$work/truncated.vhdx"

# Disks without, or with more than one, operating system; of another architecture.
mkdir "$work/data"
echo data >"$work/data/file"
make_disk "$work/data.img" "$work/data"
refused 'a disk with no system' 3 'no operating system' "${convert[@]}" "$work/data.img"

# Disks and files that no machine boots from.
xorriso -as mkisofs -quiet -o "$work/cd.iso" "$work/data"
refused 'a CD' 3 'no operating system found on /dev/sda .iso9660.' "${convert[@]}" "$work/cd.iso"
check 'a CD: the advice' grep -q 'CD or DVD' "$work/refuses.err"
truncate -s 8M "$work/partition.img"
mke2fs -q -t ext4 -d "$work/data" "$work/partition.img"
refused 'a partition' 3 'no operating system found on /dev/sda .ext4.' "${convert[@]}" -v "$work/partition.img"
check 'with -v each step is told' grep -q '^p2v: run: nbdkit' "$work/refuses.err"
check 'and not what libguestfs says' is_not grep -q '^p2v: libguestfs: ' "$work/refuses.err"
check 'a partition: the advice' grep -q 'name the image of the whole disk' "$work/refuses.err"
truncate -s 8M "$work/unused.img"
sfdisk --quiet "$work/unused.img" <<<'label: gpt'
refused 'an unused disk' 3 'partition table gpt, nothing known' "${convert[@]}" -vv "$work/unused.img"
check 'with -vv what libguestfs says is shown' grep -q '^p2v: libguestfs: ' "$work/refuses.err"
truncate -s 8M "$work/swap.img"
mkswap -q "$work/swap.img"
refused 'swap and nothing else' 3 'no operating system found on /dev/sda .swap.' "${convert[@]}" "$work/swap.img"
# The end is missing: a GPT is ignored by Linux then, of an MBR the rest is seen.
truncate -s 64M "$work/cut.img"
sfdisk --quiet "$work/cut.img" <<<$'label: gpt\nstart=1MiB'
truncate -s 50M "$work/cut.img"
refused 'a disk cut off' 3 'cut.img: is cut off: it has 50 MiB' "${convert[@]}" "$work/cut.img"
rm "$work/cut.img"
truncate -s 64M "$work/cut.img"
sfdisk --quiet "$work/cut.img" <<<'start=1MiB, type=83'
truncate -s 50M "$work/cut.img"
refused 'a disk with an MBR cut off' 3 'no operating system' "${convert[@]}" "$work/cut.img"
check 'a disk with an MBR cut off: told' grep -q 'cut.img: partition 1 ends 14 MiB behind the end' "$work/refuses.err"

make_os_tree "$work/os"
truncate -s 130M "$work/two.img"
sfdisk --quiet "$work/two.img" <<<$'start=1MiB, size=60MiB, type=83\nsize=60MiB, type=83'
mke2fs -q -t ext4 -E offset=$((1 << 20)) -d "$work/os" "$work/two.img" 60M
mke2fs -q -t ext4 -E offset=$((61 << 20)) -d "$work/os" "$work/two.img" 60M
refused 'two systems on one disk' 3 'more than one|two' "${convert[@]}" "$work/two.img"

make_os_tree "$work/arm"
# The first 20 bytes of an ELF header for AArch64 (e_machine 183).
printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\267\0' >"$work/arm/bin/sh"
head -c 1000 /dev/zero >>"$work/arm/bin/sh"
make_disk "$work/arm.img" "$work/arm"
refused 'another architecture' 3 'aarch64|arm' "${convert[@]}" "$work/arm.img"

# An encrypted root without its key.
truncate -s 64M "$work/luks.img"
sfdisk --quiet "$work/luks.img" <<<'start=1MiB, type=83'
truncate -s 60M "$work/luks.part"
printf secret | cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$work/luks.part" -
dd if="$work/luks.part" of="$work/luks.img" bs=1M seek=1 conv=notrunc status=none
refused 'encrypted root' 3 'encrypted|LUKS' "${convert[@]}" "$work/luks.img"

# Where the result should go.
mkdir "$work/full" "$work/read-only"
mount -t tmpfs -o size=64M none "$work/full"
cleanup_commands+=("umount '$work/full'")
mount -t tmpfs -o size=8M none "$work/read-only"
mount -o remount,ro "$work/read-only"
cleanup_commands+=("umount '$work/read-only'")
check 'target folder full' refuses 3 'free, but .* needed' "$p2v" convert --out "$work/full" --name x "$("$root/tests/lib/make-sample" a)"
check 'target folder full: nothing left' nothing_left "$work/full"
check 'target folder read-only' refuses 3 'Read-only' "$p2v" convert --out "$work/read-only" --name x "$work/random.img"
mkdir -p "$out/x"
check 'result exists' refuses 3 'exists already' "${convert[@]}" "$work/random.img"
rm -r "$out"

make_disk "$work/os.img" "$work/os"
refused 'a system without a kernel' 3 'no kernel' "${convert[@]}" "$work/os.img"
check 'a system without a kernel: scan says it too' refuses 3 'no kernel' "$p2v" scan "$work/os.img"
check 'scan: --to without a disk' refuses 2 'is about images' "$p2v" scan --to kvm

# Programs that are missing, or hang.
without() {
	# In a mount namespace of its own nobody else misses the program.
	local program
	program=$(command -v "$1")
	shift
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount bash -c 'mount --bind /dev/null "$1" && shift && exec "$@"' - "$program" "$@"
}
refused 'no nbdkit' 3 'nbdkit' without nbdkit "${convert[@]}" "$work/os.img"
refused 'no QEMU' 3 'qemu-system-x86_64' without qemu-system-x86_64 "${convert[@]}" "$work/os.img"
qemu-img convert -O qcow2 "$work/os.img" "$work/os.qcow2"
refused 'no qemu-nbd for qcow2' 3 'qemu-nbd' without qemu-nbd "${convert[@]}" "$work/os.qcow2"

cat >"$work/hangs" <<'SCRIPT'
#!/bin/sh
# libguestfs asks for version and devices first; then this never starts.
case "$*" in
*-help* | *-version* | *'-machine help'* | *qmp*stdio*) exec qemu-system-x86_64 "$@" ;;
esac
exec sleep 1000
SCRIPT
chmod +x "$work/hangs"
refused 'an appliance that hangs' 1 'appliance' env LIBGUESTFS_HV="$work/hangs" P2V_APPLIANCE_TIMEOUT=8 "${convert[@]}" "$work/os.img"
check 'the hung appliance is gone' is_not pgrep -f "$work/hangs"
finish
