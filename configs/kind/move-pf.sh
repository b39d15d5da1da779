#!/bin/sh
# Moves a PF's interface, and those of its VFs, into the network namespace of a kind node, and back.
#
#   move-pf.sh into NODE PF     NODE is the container's name, such as kind-worker, or a process id
#   move-pf.sh back NODE PF
#
# A PF that carries the default route, has an address, belongs to a bridge or bond or is below a VLAN is refused: the machine may
# be reached through it. The node's /sys, which kind mounts read-only, is made writable. Whatever fails, what was moved before is moved back. When the node is deleted, the kernel itself brings
# physical interfaces home.
set -eu

fail() {
	echo "move-pf: $*" >&2
	exit 1
}

usage() {
	sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

# pid_of is the first process of a node.
pid_of() {
	case $1 in
	*[!0-9]*)
		pid=$("${CONTAINER_ENGINE:-docker}" inspect --format '{{.State.Pid}}' "$1") || fail "there is no container $1"
		;;
	*) pid=$1 ;;
	esac
	[ -e "/proc/$pid/ns/net" ] || fail "$1 does not run"
	[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || fail "$1 is in this very network namespace"
	echo "$pid"
}

# within runs a command in the node's network namespace.
within() {
	pid=$1
	shift
	nsenter --target "$pid" --net -- "$@"
}

# check_idle refuses an interface that this machine uses.
check_idle() {
	[ -e "/sys/class/net/$1" ] || fail "there is no interface $1 here"
	[ -z "$(ip -o route show default dev "$1"; ip -o -6 route show default dev "$1")" ] || fail "$1 carries the default route"
	[ -z "$(ip -o address show dev "$1" scope global)" ] || fail "$1 has an address"
	[ ! -e "/sys/class/net/$1/master" ] || fail "$1 is a port of $(basename "$(readlink "/sys/class/net/$1/master")")"
	for upper in "/sys/class/net/$1"/upper_*; do
		[ ! -e "$upper" ] || fail "$1 is below $(basename "$upper" | sed s/upper_//)"
	done
}

# open_sysfs has a node's sysfs written to: kind mounts it read-only, and VFs are created, and bound to vfio-pci, by writing.
open_sysfs() {
	nsenter --target "$1" --mount -- mount -o remount,rw /sys || fail "the /sys of the node stays read-only; nothing is moved"
}

# vfs_of are the interfaces of a PF's VFs that are here.
vfs_of() {
	for vf in "/sys/class/net/$1/device/virtfn"*/net/*; do
		[ -e "$vf" ] && basename "$vf"
	done
	return 0
}

into() {
	pid=$(pid_of "$1")
	pf=$2
	check_idle "$pf"
	vfs=$(vfs_of "$pf")
	for vf in $vfs; do
		check_idle "$vf"
	done
	open_sysfs "$pid"
	moved=
	for name in $vfs $pf; do
		if ! ip link set dev "$name" netns "$pid"; then
			for other in $moved; do
				within "$pid" ip link set dev "$other" netns $$ || echo "move-pf: $other stays in $1" >&2
			done
			fail "$name cannot be moved; nothing is"
		fi
		moved="$moved $name"
	done
	within "$pid" ip link set dev "$pf" up
	echo "moved into $1:$moved"
}

# vfs_in are the interfaces of a PF's VFs that are in a node itself; a VF that a network driver has and the node does not see is
# with a pod, and printed as !ADDRESS.
vfs_in() {
	nsenter --target "$1" --net --mount -- sh -c 'for vf in /sys/class/net/"$1"/device/virtfn*; do
		[ -e "$vf" ] || continue
		case $(basename "$(readlink "$vf/driver" || echo none)") in none | vfio* | uio* | igb_uio) continue ;; esac
		name=$(ls "$vf/net" 2>/dev/null)
		echo "${name:-!$(basename "$(readlink "$vf")")}"
	done' sh "$2"
}

back() {
	pid=$(pid_of "$1")
	pf=$2
	within "$pid" ip link show dev "$pf" >/dev/null 2>&1 || fail "$1 has no interface $pf"
	names="$(vfs_in "$pid" "$pf") $pf"
	case $names in
	*!*) fail "VFs of $pf are with pods, which are to end first:" $(echo "$names" | tr ' ' '\n' | sed -n s/^!//p) ;;
	esac
	failed=
	for name in $names; do
		within "$pid" ip link set dev "$name" netns $$ || failed="$failed $name"
	done
	[ -z "$failed" ] || fail "still in $1:$failed"
	echo "moved back:" $names
}

[ $# -eq 3 ] || usage
case $3 in
'' | *[!A-Za-z0-9_.-]* | -*) fail "'$3' is not the name of an interface" ;;
esac
case $1 in
into) into "$2" "$3" ;;
back) back "$2" "$3" ;;
*) usage ;;
esac
