#!/bin/sh
# Boots systemd as PID 1 of namespaces of its own, and cleans up what cannot go away by itself.
#
#   boot.sh start GROUP ROOT TAPWAYD TAPWAY   in the network namespace that the machine is to have
#   boot.sh remove GROUP
#   boot.sh sweep PARENT                      control groups of tests that are no more
#
# GROUP is the machine's control group as /proc/PID/cgroup names it, below the caller's own. ROOT has etc, run and var,
# which the test reads and writes; all that is mounted below it is seen only inside. All three run in a mount namespace
# of their own, so that nothing here is seen, or left, in the one of the test.
set -eu
# Where control groups are seen meanwhile; where the host sees them, if it does, is its own matter.
CGROUPS=$(dirname "$0")/cgroup
UNITS=/usr/lib/systemd/system
# What tests run inside; the units that are under test need `true` and `tapway`.
PROGRAMS="cat chmod chown env hostname ip ls mkdir mount perl sh systemctl journalctl systemd-analyze systemd-tmpfiles touch true
    umount unshare"

fail() {
    echo "boot.sh: $*" >&2
    exit 1
}

groups() {
    mount --make-rprivate /
    mkdir -p "$CGROUPS"
    mount -t cgroup2 cgroup2 "$CGROUPS" || fail "there is no cgroup2 here, and systemd needs it"
}

# Deepest first. What was just killed may not be gone from a group yet: then this fails, and may be tried again.
remove() {
    groups
    [ ! -d "$CGROUPS$1" ] || find "$CGROUPS$1" -depth -type d -exec rmdir {} +
}

sweep() {
    groups
    for group in "$CGROUPS$1"/tw-*; do
        owner=${group##*/tw-}
        owner=${owner%%-*}
        [ -d "$group" ] && [ ! -d "/proc/$owner" ] || continue
        find "$group" -depth -type d -exec rmdir {} + || true
    done
}

start() {
    group=$CGROUPS$1
    shift
    groups
    mkdir "$group"
    echo $$ >"$group/cgroup.procs"
    # It ends when its parent does, whatever the reason: then the kernel ends all that runs inside.
    exec unshare --cgroup --mount --uts --ipc --pid --fork --kill-child --propagation private sh "$0" boot "$@"
}

boot() {
    root=$1
    [ $$ = 1 ] || fail "this is not the first process of a PID namespace"
    mount --bind "$root" "$root"
    for folder in bin dev home lib lib64 opt proc root sbin srv sys tmp usr; do
        [ -e "$root/$folder" ] || [ -L "$root/$folder" ] || place "$folder"
    done
    mount --bind "$root/run" "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    programs "$2" "$3"
    devices
    kernel
    hostname hypervisor
    cd "$root"
    pivot_root . .
    umount -l .
    exec env -i container=tapway-lab PATH=/usr/sbin:/usr/bin \
        /usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no
}

# A link where the host has one into /usr, a folder otherwise.
place() {
    if [ -L "/$1" ] && [ -d "/usr/$1" ]; then
        ln -s "usr/$1" "$root/$1"
    else
        mkdir "$root/$1"
    fi
}

bind() { # SOURCE TARGET, read-only
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

# The host's /usr, read-only; but of its programs and units, whatever they are, only what is needed here.
programs() {
    bind /usr "$root/usr"
    for own in bin lib/systemd/system lib/systemd/system-generators; do
        mount -t tmpfs -o mode=755 tmpfs "$root/usr/$own"
    done
    for program in $PROGRAMS; do
        cp "/usr/bin/$program" "$root/usr/bin/" || fail "there is no program $program"
    done
    touch "$root/usr/bin/tapwayd" "$root/usr/bin/tapway"
    bind "$1" "$root/usr/bin/tapwayd"
    bind "$2" "$root/usr/bin/tapway"
    cp -P $UNITS/*.target $UNITS/*.slice $UNITS/systemd-poweroff.service $UNITS/systemd-reboot.service \
        $UNITS/systemd-journald.service $UNITS/systemd-journald.socket $UNITS/systemd-journald-dev-log.socket \
        "$root$UNITS/"
    mkdir "$root$UNITS/sockets.target.wants"
    ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$root$UNITS/sockets.target.wants/"
}

devices() {
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
}

# What belongs to the whole machine is read-only, as systemd-nspawn does it; the network's part is the namespace's own.
kernel() {
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
    for part in sys sysrq-trigger irq bus; do
        [ -e "$root/proc/$part" ] || continue
        mount --rbind "$root/proc/$part" "$root/proc/$part"
        mount -o remount,bind,ro "$root/proc/$part"
    done
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
}

task=$1
shift
"$task" "$@"
