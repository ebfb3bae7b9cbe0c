#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v send --live --quiesce: a PostgreSQL and a MariaDB server on a loop device are brought to rest before it is
# frozen; their copies have whatever they had acknowledged; if the cutover fails they go on, and so does a unit,
# also of a sender that is killed. systemd is a stand-in here: a program that knows which units are active.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and freeze'
mounted=$work/mounted
loop='' sender='' writer='' postgres=''
# Who runs a database is not root.
chmod 711 "$work"

# The newest there is.
pg_program() {
	find /usr/lib/postgresql -name "$1" -path '*/bin/*' 2>/dev/null | sort -V | tail -n 1
}

as_postgres() {
	runuser -u postgres -- "$@"
}

make_server() {
	truncate -s 512M "$work/disk.img"
	loop=$(losetup -f --show "$work/disk.img") || skip 'no loop devices here'
	mkfs.ext4 -q "$loop" && mkdir -p "$mounted" && mount "$loop" "$mounted"
}

end_server() {
	[ -n "$loop" ] || return 0
	[ -z "$writer" ] || kill "$writer" 2>/dev/null || true
	fsfreeze --unfreeze "$mounted" 2>/dev/null || true
	stop_postgres
	stop_mariadb || true
	soon umount "$mounted" 2>/dev/null || true
	losetup -d "$loop"
	loop=''
}
cleanup_commands+=(end_server)

# Its socket is in $work/sockets. Not by pg_ctl: who is not our child may be there for a while when it has ended.
start_postgres() {
	setpriv --reuid=postgres --regid=postgres --clear-groups "$(pg_program postgres)" -D "$mounted/pg" \
		-c listen_addresses= -c checkpoint_timeout=1d -c "unix_socket_directories=$work/sockets" >"$work/postgres.log" 2>&1 &
	postgres=$!
	soon -p "$postgres" query 'SELECT 1' || { cat "$work/postgres.log" && return 1; }
}

stop_postgres() {
	[ -n "$postgres" ] || return 0
	kill -QUIT "$postgres"
	wait "$postgres" || true
	postgres=''
}

make_postgres() {
	install -d -o postgres "$work/sockets" "$mounted/pg"
	chown postgres "$mounted"
	as_postgres "$(pg_program initdb)" -D "$mounted/pg" --auth=trust >/dev/null && start_postgres &&
		query 'CREATE TABLE t (n int)'
}

query() {
	as_postgres psql -XqAt -h "$work/sockets" -d postgres -c "$1"
}

# One transaction after another; the last one that was acknowledged is in $work/last.
write_rows() {
	local n=0

	while query "INSERT INTO t VALUES ($((++n)))"; do
		echo "$n" >"$work/last.new"
		mv "$work/last.new" "$work/last"
	done
}

start_mariadb() {
	mariadbd --no-defaults --user=root --datadir="$mounted/mariadb" --socket="$work/mariadb.sock" --skip-networking \
		--pid-file="$work/mariadb.pid" >"$work/mariadb.log" 2>&1 &
	soon -p $! maria 'SELECT 1'
}

stop_mariadb() {
	[ ! -e "$work/mariadb.pid" ] || kill -KILL "$(cat "$work/mariadb.pid")"
	rm -f "$work/mariadb.pid"
}

make_mariadb() {
	mariadb-install-db --no-defaults --user=root --datadir="$mounted/mariadb" --skip-test-db \
		--auth-root-authentication-method=normal >/dev/null && start_mariadb &&
		maria 'CREATE DATABASE d; CREATE TABLE d.t (n int) ENGINE=MyISAM; INSERT INTO d.t VALUES (1)'
}

maria() {
	timeout 20 mariadb --no-defaults --socket="$work/mariadb.sock" --batch --execute="$1"
}

# Units are files.
make_systemctl() {
	mkdir -p "$work/bin" "$work/units"
	cat >"$work/bin/systemctl" <<-EOS
		#!/bin/sh
		echo "\$1" >>"$work/units.log"
		case \$1 in
		show) [ "\$3" = shop.service ] && echo LoadState=loaded || echo LoadState=not-found ;;
		is-active) [ -e "$work/units/\$3" ] ;;
		start) touch "$work/units/\$3" ;;
		stop) rm "$work/units/\$3" ;;
		esac
	EOS
	chmod +x "$work/bin/systemctl"
	touch "$work/units/shop.service"
	PATH=$work/bin:$PATH
}

unit_is_active() {
	[ -e "$work/units/shop.service" ]
}

# name_live JOB [OPTION...]: sets live_command.
name_live() {
	live_command=("$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live
		--all "${@:2}")
}

live() {
	name_live "$@"
	"${live_command[@]}"
}

# Sets sender, the process itself.
start_live() {
	name_live "$@"
	"${live_command[@]}" >"$work/sender.out" 2>&1 &
	sender=$!
}

is_frozen() {
	! fsfreeze --freeze "$mounted" 2>/dev/null || { fsfreeze --unfreeze "$mounted" && false; }
}

# use_copy JOB: the copy is mounted in the place of the server.
use_copy() {
	end_server
	"$p2v" vhdx convert "$work/jobs/$1/disk0.vhdx" "$work/copy.raw" || return
	mv "$work/copy.raw" "$work/disk.img"
	loop=$(losetup -f --show "$work/disk.img")
	mount "$loop" "$mounted"
}

# The checkpoint is of the time of the cutover, which the server alone would make once a day.
has_new_checkpoint() {
	local at

	at=$(LC_ALL=C "$(pg_program pg_controldata)" -D "$mounted/pg" | sed -n 's/^Time of latest checkpoint: *//p')
	[ "$(date -d "$at" +%s)" -ge "$1" ]
}

has_row() {
	[ "$(query "SELECT count(*) FROM t WHERE n = $1")" = 1 ]
}

postgres_is_captured() {
	local began last

	make_server
	check 'a PostgreSQL server starts' make_postgres
	write_rows 2>/dev/null &
	writer=$!
	soon test -e "$work/last"
	sleep 1.1
	began=$(date +%s)
	check 'it is captured while it is written to' live postgres-$$ --cutover --downtime 30 --max-freeze 120 \
		--quiesce "postgresql:$work/sockets"
	last=$(cat "$work/last")
	check 'the copy can be mounted' use_copy postgres-$$
	check 'it has made a checkpoint' has_new_checkpoint "$began"
	check 'it starts there' start_postgres
	check "the last transaction that was acknowledged is there ($last)" has_row "$last"
	check 'the negative control: none is there that never was' is_not has_row 0
	end_server
}

# The last step before the freeze fails: all of it goes on.
rolled_back() {
	make_server
	check 'a MariaDB server starts' make_mariadb
	start_live rollback-$$ --quiesce "mariadb:$work/mariadb.sock" \
		--quiesce unit:shop.service --pre-freeze "$work/bin/is-locked"
	soon -p "$sender" "$p2v" cutover rollback-$$ --status >/dev/null 2>&1
	check 'the cutover fails' refuses 1 'that is all' "$p2v" cutover rollback-$$
	check 'tables were locked' grep -qs locked "$work/locked"
	check 'the unit was stopped' grep -q stop "$work/units.log"
	check 'the unit is active again' unit_is_active
	check 'tables can be written to again' maria 'INSERT INTO d.t VALUES (2)'
	"$p2v" cutover rollback-$$ --end >/dev/null || true
	wait "$sender" || true
}

# Tries to write while the tables are locked, and fails.
make_is_locked() {
	cat >"$work/bin/is-locked" <<-EOS
		#!/bin/sh
		mariadb --no-defaults --socket="$work/mariadb.sock" --batch \
			--execute='SET lock_wait_timeout=1; INSERT INTO d.t VALUES (3)' || echo locked >"$work/locked"
		echo 'that is all' >&2
		exit 1
	EOS
	chmod +x "$work/bin/is-locked"
}

# Killed while they are at rest.
killed() {
	start_live killed-$$ --cutover --downtime 1000 --quiesce "mariadb:$work/mariadb.sock" --quiesce unit:shop.service \
		--pre-freeze "touch $work/at-rest; sleep 60"
	soon -p "$sender" test -e "$work/at-rest"
	check 'the unit is stopped meanwhile' is_not unit_is_active
	kill -KILL "$sender"
	wait "$sender" 2>/dev/null || true
	check 'the unit of a killed sender is active again' soon unit_is_active
	check 'tables can be written to again' maria 'INSERT INTO d.t VALUES (4)'
}

captured() {
	check 'MariaDB is captured' live mariadb-$$ --cutover --downtime 30 --max-freeze 120 \
		--quiesce "mariadb:$work/mariadb.sock" --quiesce unit:shop.service
	check 'the server is frozen' is_frozen
	check 'what was stopped stays so' is_not unit_is_active
	check 'the copy can be mounted' use_copy mariadb-$$
	check 'it starts there' start_mariadb
	check 'its tables are whole' says 'd.t.*status.*OK' maria 'CHECK TABLE d.t'
	end_server
}

refusals() {
	make_server
	check 'a service that is not known' refuses 2 'is not known' live r --quiesce oracle
	check 'a unit without a name' refuses 2 'is not known' live r --quiesce unit:
	check 'a unit that is not there' refuses 3 'no such unit' live r --quiesce unit:none.service
	check 'a PostgreSQL that is not there' refuses 3 'no server has a socket' live r --quiesce "postgresql:$work"
	check 'a MariaDB that is not there' refuses 3 'mariadb' live r --quiesce "mariadb:$work/none"
	end_server
}

check 'a receiver starts' start_receiver
make_systemctl
make_is_locked
refusals
if [ -n "$(pg_program initdb)" ]; then
	postgres_is_captured
else
	echo '# no PostgreSQL here: left out'
fi
if [ -n "$(command -v mariadbd)" ]; then
	rolled_back
	killed
	captured
else
	echo '# no MariaDB here: left out'
fi
finish
