//! Power-off and reboot: the host must stop attracting traffic, and only then.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;
use tapway_lab::Netns;

use crate::bed::{Bed, CONFIG, WEB};

/// Whoever makes the host's network: the uplink goes down when it is stopped.
const NETWORK: &str = "[Unit]\nDescription=The uplink\nBefore=network.target\nWants=network.target\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=ip link set up0 up\nExecStop=ip link set up0 down\n\
    [Install]\nWantedBy=multi-user.target\n";

/// Whoever starts the guests and shuts them down; writes down whether the daemon was there before, and what is announced at the
/// end.
const GUESTS: &str = "[Unit]\nDescription=Guests\nAfter=network.target\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\n\
    ExecStart=sh -c 'systemctl is-active tapwayd >/run/before-%N || true'\n\
    ExecStop=sh -c 'tapway announcement list >/run/announced-%N'\n\
    [Install]\nWantedBy=multi-user.target\n";

/// The units that do so, of several platforms and packages.
const PLATFORMS: [&str; 9] = [
    "libvirt-guests",
    "lxd",
    "lxd-containers",
    "snap.lxd.daemon",
    "incus",
    "incus-startup",
    "ganeti",
    "ganeti-noded",
    "ganeti-kvm-poweroff",
];

const SYSCTLS: [&str; 4] = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/tap0/forwarding",
    "net/ipv6/conf/tap0/forwarding",
];

/// A reboot withdraws and tells why, while the network is still there and after guests have been shut down, and takes out of
/// the kernel what is ours; the next boot brings it all back by itself; a power-off is like a reboot.
#[test]
fn the_host_withdraws_when_it_goes_down_and_is_back_after_a_boot() {
    let bed = Bed::new();
    let host = &bed.host;
    let before = SYSCTLS.map(|key| host.read_sysctl(key));
    let mut machine = bed.machine();
    machine.write("etc/systemd/system/uplink.service", NETWORK);
    for name in PLATFORMS {
        machine.write(&format!("etc/systemd/system/{name}.service"), GUESTS);
    }
    machine.boot();
    let guests: Vec<String> = PLATFORMS.map(|name| format!("{name}.service")).into();
    let guests = guests.join(" ");
    machine.do_systemctl(&format!(
        "enable --now uplink tapwayd tapway-poweroff {guests}"
    ));

    // How reboot(2) ends the first process of a PID namespace that asks for this.
    for (how, end) in [("reboot", Signal::HUP), ("poweroff", Signal::INT)] {
        bed.announced();
        // It may be ended before systemctl is.
        machine.systemctl(how);
        let view = bed.router_sees("hears why", &mut |v| !v.established && v.routes.is_empty());
        let told = view.last_error.unwrap_or_default();
        assert!(told.contains("the host is going down"), "{how}: {told:?}");
        let ended = machine.wait_off();
        assert_eq!(ended.signal(), Some(end.as_raw()), "{how}: {ended}");
        for name in PLATFORMS {
            let read = |what: &str| {
                let path = machine.path(&format!("run/{what}-{name}"));
                let text = fs::read_to_string(&path).unwrap_or_default();
                _ = fs::remove_file(path);
                text
            };
            assert_eq!(read("before"), "active\n", "{how}: {name}");
            let announced = read("announced");
            for prefix in WEB {
                assert!(announced.contains(prefix), "{how}: {name}: {announced}");
            }
        }
        nothing_is_left(host, how);
        assert_eq!(SYSCTLS.map(|key| host.read_sysctl(key)), before, "{how}");
        if how == "reboot" {
            machine.boot();
        }
    }
}

#[track_caller]
fn nothing_is_left(host: &Netns, how: &str) {
    assert_eq!(host.routes("table all proto 112"), [""; 0], "{how}");
    let addresses = host.ip("address show dev tap0");
    for gateway in ["169.254.0.1", "fe80::1/"] {
        assert!(!addresses.contains(gateway), "{how}: {addresses}");
    }
    for left in [
        host.ip("neighbour show nud permanent dev tap0"),
        host.ip("nexthop show"),
    ] {
        assert_eq!(left, "", "{how}");
    }
}

/// The unit that withdraws at power-off cannot be stopped by mistake, and its start does nothing.
#[test]
fn nobody_withdraws_everything_by_stopping_a_unit() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    machine.do_systemctl("enable --now tapwayd tapway-poweroff");
    bed.announced();
    let watch = bed.watch();
    for words in ["stop", "restart", "disable --now"] {
        let said = machine.systemctl(&format!("{words} tapway-poweroff"));
        assert_ne!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains("refused"), "{said:?}");
    }
    assert_eq!(machine.property("tapway-poweroff", "ActiveState"), "active");
    bed.announced();
    watch.nothing_happened();
}

/// Both units reach a daemon at another socket, when they are told of it.
#[test]
fn another_socket_is_found_by_both_units() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    let socket = "/run/tapway/other.sock";
    let config = format!("{CONFIG}[api]\nsocket = \"{socket}\"\n");
    machine.write("etc/tapway/tapway.toml", &config);
    for unit in ["tapwayd", "tapway-poweroff"] {
        machine.write(
            &format!("etc/systemd/system/{unit}.service.d/socket.conf"),
            &format!("[Service]\nEnvironment=TAPWAY_SOCKET={socket}\n"),
        );
    }
    machine.boot();
    machine.do_systemctl("enable --now tapwayd tapway-poweroff");
    bed.announced();
    machine.do_systemctl("reload tapwayd");
    machine.systemctl("poweroff");
    let view = bed.router_sees("hears why", &mut |v| !v.established && v.routes.is_empty());
    let told = view.last_error.unwrap_or_default();
    assert!(told.contains("the host is going down"), "{told:?}");
    machine.wait_off();
    nothing_is_left(&bed.host, "poweroff");
}
