# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
#
# Machines that start from the boot medium. To be sourced after e2e.sh.
#
# A "server" has 1 GiB of memory, two processors and nothing that the test does
# not name; disks are writable for it, so that a test sees whether anything wrote.
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$root/tests/lib/console.sh"

OVMF=/usr/share/OVMF
machine_pid=
# Where the serial port leads; whatever it is, what the machine says is to be in $work/console.
serial=(-serial "file:$work/console")
READY='p2v: ready [0-9.]+ s'

# firmware KIND: sets the QEMU arguments $firmware; variables are fresh each time.
firmware() {
	firmware=()
	case $1 in
	bios) ;;
	uefi)
		cp $OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
		firmware=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.fd")
		;;
	secure)
		cp $OVMF/OVMF_VARS_4M.ms.fd "$work/vars.fd"
		firmware=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF/OVMF_CODE_4M.secboot.fd"
			-global driver=cfi.pflash01,property=secure,value=on)
		;;
	esac
	[ "$1" = bios ] || firmware+=(-drive "if=pflash,unit=1,format=raw,file=$work/vars.fd")
}

# medium KIND ISO: sets the QEMU arguments $medium.
medium() {
	case $1 in
	cd) medium=(-drive "if=none,id=medium,media=cdrom,readonly=on,format=raw,file=$2"
		-device "ide-cd,drive=medium,bus=ide.2,bootindex=0") ;;
	usb) medium=(-device qemu-xhci -drive "if=none,id=medium,readonly=on,format=raw,file=$2"
		-device "usb-storage,drive=medium,bootindex=0") ;;
	esac
}

# sample_disks NAME: the disks of a sample server, each with a layer of its own for what the server
# would write: sets disks, layers and the QEMU arguments $drives, "disk0" and so on.
sample_disks() {
	local i

	mapfile -t disks < <("$root/tests/lib/make-sample" "$1")
	drives=() layers=()
	[ ${#disks[@]} -gt 0 ] || return
	for i in "${!disks[@]}"; do
		layers[i]=$work/$1-layer$i
		qemu-img create -q -f qcow2 -F raw -b "${disks[i]}" "${layers[i]}"
		drives+=(-drive "if=none,id=disk$i,format=qcow2,file=${layers[i]}")
	done
}

# nothing_written: the layers hold nothing at all.
nothing_written() {
	local layer

	[ ${#layers[@]} -gt 0 ] || return
	for layer in "${layers[@]}"; do
		qemu-img map --output=json "$layer" | jq -e 'all(.[]; .depth > 0)' || return
	done
}

# with_pipe NAME CHARDEV_OPTIONS...: makes $work/NAME.in, which leads into a QEMU character device "NAME", and
# empties what comes out; sets the QEMU arguments $pipe.
with_pipe() {
	local name=$1 options=$2

	rm -f "$work/$name.in" "$work/$name.out"
	mkfifo "$work/$name.in" "$work/$name.out"
	setpriv --pdeathsig KILL -- cat "$work/$name.out" >/dev/null &
	# shellcheck disable=SC2034 # for the script
	pipe=(-chardev "pipe,id=$name,path=$work/$name$options")
}

# start_machine ARGUMENT...: sets machine_pid.
start_machine() {
	: >"$work/console"
	setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none \
		-accel "${P2V_TEST_ACCEL:-tcg}" -machine q35,smm=on -m 1024 -smp 2 -vga std \
		"${serial[@]}" "$@" >"$work/qemu.log" 2>&1 </dev/null &
	machine_pid=$!
}

stop_machine() {
	[ -z "$machine_pid" ] || kill -KILL "$machine_pid" 2>/dev/null || true
	wait "$machine_pid" 2>/dev/null || true
}
cleanup_commands+=(stop_machine)

# boots ARGUMENT...: the machine says that it is ready; it is then stopped.
boots() {
	reaches "$READY" "$CONSOLE_FAILURES" "$@"
}

# reaches PATTERN FAILURES ARGUMENT...: the machine says what matches, in $ISO_TIMEOUT seconds and before it
# says what matches one of FAILURES; it is then stopped.
reaches() {
	local pattern=$1 failures=$2 status=0
	shift 2

	start_machine "$@"
	console_wait $((${ISO_TIMEOUT:-300} * ${P2V_TEST_TIME_FACTOR:-1})) "$machine_pid" "$pattern" "$failures" \
		"$work/console" || status=1
	[ $status = 0 ] || { echo "$console_answer" && cat "$work/qemu.log"; }
	stop_machine
	console_text "$work/console" | tail -n 15
	return $status
}

# ends_itself SECONDS: the machine powers off in time.
ends_itself() {
	local end=$((SECONDS + $1 * ${P2V_TEST_TIME_FACTOR:-1}))

	while kill -0 "$machine_pid" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { said . | tail -n 20 && return 1; }
		sleep 1
	done
}

# said PATTERN: the last machine did.
said() {
	console_text "$work/console" | grep -E -e "$1"
}

# start_kernel WORDS ARGUMENT...: as start_machine, with the kernel and initramfs of the network folder and those
# words on the kernel's command line.
start_kernel() {
	local words=$1 pxe
	shift

	pxe=$("$root/tests/lib/make-iso" medium)/pxe
	cat "$pxe/config.img" "$pxe/initrd.img" >"$work/initrd"
	start_machine -kernel "$pxe/vmlinuz" -initrd "$work/initrd" \
		-append "console=tty0 console=ttyS0,115200n8 noresume raid=noautodetect scsi_mod.scan=sync $words" "$@"
}

# start_shell ARGUMENT...: such a machine with a shell at its serial port; sets shell_pid.
start_shell() {
	local serial from limit=$((300 * ${P2V_TEST_TIME_FACTOR:-1}))

	with_pipe shell ",logfile=$work/shell-console"
	serial=("${pipe[@]}" -serial chardev:shell)
	start_kernel p2v.shell "$@"
	shell_pid=$machine_pid
	console_wait $limit "$shell_pid" "$READY" "$CONSOLE_FAILURES" "$work/shell-console" || return
	from=$(console_size "$work/shell-console")
	sleep 3
	# It is silent from now on.
	printf '\nstty -echo; PS1=; PS2=; echo shell-"ready"\n' >"$work/shell.in"
	console_expect $limit "$shell_pid" '^shell-ready' "$work/shell-console" "$from"
}

# runs SHELL_TEXT: there.
runs() {
	console_run "$work/shell" "$work/shell-console" "$shell_pid" $((240 * ${P2V_TEST_TIME_FACTOR:-1})) "$1"
}

# answers SHELL_TEXT PATTERN: a line of what it prints there matches.
answers() {
	runs "$1" >"$work/answer"
	cat "$work/answer"
	grep -qE -e "$2" "$work/answer"
}

# lacks SHELL_TEXT PATTERN: it runs there, and no line matches.
lacks() {
	runs "$1" >"$work/answer" && cat "$work/answer" && is_not grep -E -e "$2" "$work/answer"
}
