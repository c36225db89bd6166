//! Start, reload, restart, crash.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use tapway_lab::wait_for;

use crate::bed::{Bed, CONFIG, WEB};
use crate::machine::SOON;

/// `systemctl start` returns when the daemon is ready and not before: until then the unit is activating.
#[test]
fn it_is_active_when_it_is_ready() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    // The process runs, but is not the daemon yet.
    let exec = machine.property("tapwayd", "ExecStart");
    let command = exec.split_once("argv[]=").unwrap_or_default().1;
    let command = command.split(" ;").next().unwrap_or_default();
    assert!(command.starts_with("/usr/bin/tapwayd "), "{exec}");
    machine.pipe("run/go");
    machine.write(
        "etc/systemd/system/tapwayd.service.d/wait.conf",
        &format!("[Service]\nExecStart=\nExecStart=sh -c 'read go </run/go; exec {command}'\n"),
    );
    machine.do_systemctl("daemon-reload");
    machine.do_systemctl("start --no-block tapwayd");
    let mut pipe = wait_for(SOON, "the process waits", || {
        // Without a reader it cannot be opened.
        OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(machine.path("run/go"))
    });
    let state = machine.property("tapwayd", "ActiveState");
    assert_eq!(state, "activating");
    pipe.write_all(b"go\n").expect("a pipe");
    drop(pipe);

    machine.do_systemctl("start tapwayd");
    assert_eq!(machine.property("tapwayd", "ActiveState"), "active");
    // At once, without another try.
    let said = machine.tapway(&["instance", "list"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    bed.announced();
}

/// A reload takes effect before `systemctl reload` returns, in the same process and the same session; a file with a mistake
/// is refused, and `systemctl` says so.
#[test]
fn a_reload_takes_effect_in_the_same_process() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    machine.do_systemctl("start tapwayd");
    bed.announced();
    let pid = machine.main_pid();

    let with_policy = CONFIG.replace("asn = 65000\n", "asn = 65000\nexport = \"out\"\n")
        + "[policy.out]\nrules = [{ set = { med = 77 }, action = \"accept\" }]\n";
    machine.write("etc/tapway/tapway.toml", &with_policy);
    machine.do_systemctl("reload tapwayd");
    let policies = machine.tapway(&["policy", "list"]);
    assert!(policies.out.contains("out"), "{policies:?}");
    bed.router_sees("the new MED", &mut |v| {
        v.established && v.has_exactly(&WEB) && v.routes.values().all(|r| r.med == Some(77))
    });

    machine.write(
        "etc/tapway/tapway.toml",
        &with_policy.replace("asn = 64612", "asn = 0"),
    );
    let refused = machine.systemctl("reload tapwayd");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    wait_for(SOON, "the journal says what is wrong", || {
        let journal = machine.journal(Some("tapwayd"));
        if journal.contains("/etc/tapway/tapway.toml:3:") {
            Ok(())
        } else {
            Err(journal)
        }
    });
    let view = bed.announced();
    assert!(view.routes.values().all(|r| r.med == Some(77)), "{view:#?}");

    assert_eq!(machine.main_pid(), pid);
    assert_eq!(machine.property("tapwayd", "ActiveState"), "active");
    assert_eq!(machine.property("tapwayd", "NRestarts"), "0");
}

/// A restart and a crash: routes of the host and of the router stay where they are, packets flow, and the unit that withdraws
/// at power-off stays as it is.
#[test]
fn a_restart_and_a_crash_lose_nothing() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    machine.do_systemctl("enable --now tapwayd tapway-poweroff");
    bed.announced();
    let first = machine.main_pid();
    let watch = bed.watch();

    machine.do_systemctl("restart tapwayd");
    let second = machine.main_pid();
    assert_ne!(second, first);
    bed.announced();
    bed.settled(&machine);

    machine.run(&["sh", "-c", &format!("kill -9 {second}")]);
    wait_for(SOON, "systemd starts it again", || {
        let pid = machine.property("tapwayd", "MainPID");
        let state = machine.property("tapwayd", "ActiveState");
        if state == "active" && pid != second.to_string() {
            Ok(())
        } else {
            Err(format!("{state}, pid {pid}"))
        }
    });
    assert_eq!(machine.property("tapwayd", "NRestarts"), "1");
    let view = bed.announced();
    bed.settled(&machine);
    watch.nothing_happened();

    // What ended the sessions was the end of the connection, and no message.
    let why = view.last_error.unwrap_or_default().to_lowercase();
    for word in ["cease", "shutdown", "received"] {
        assert!(!why.contains(word), "the router was told {why:?}");
    }
    assert_eq!(machine.property("tapway-poweroff", "ActiveState"), "active");
    let journal = machine.journal(None);
    assert!(!journal.contains("withdrawing everything"), "{journal}");
}
