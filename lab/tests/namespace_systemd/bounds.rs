//! What the unit lets the daemon do, and what not.

use std::fs;

use tapway_lab::wait_for;

use crate::bed::Bed;
use crate::machine::{Machine, SOON, field, limit};

/// Numbers of capabilities(7): DAC_READ_SEARCH, NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_PTRACE.
const CAPABILITIES: [u64; 5] = [2, 10, 12, 13, 19];
/// `SCHED_RR` (sched(7)).
const ROUND_ROBIN: &str = "2";

/// The units have no mistake that systemd knows of, alone and together.
#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    let units = fs::read_dir(machine.path("etc/systemd/system")).expect("units");
    let names: Vec<String> = units
        .map(|unit| {
            unit.expect("a unit")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    assert!(names.len() >= 2, "{names:?}");
    let mut words = vec!["systemd-analyze", "verify", "--man=no"];
    words.extend(names.iter().map(String::as_str));
    let said = machine.run(&words);
    let texts = (said.code, said.out.as_str(), said.err.as_str());
    assert_eq!(texts, (Some(0), "", ""), "{names:?}");
}

/// The running process has the capabilities, the limits and the scheduling that the unit names, and no more.
#[test]
fn the_process_has_what_the_unit_gives_and_no_more() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    machine.boot();
    machine.do_systemctl("start tapwayd");
    bed.announced();
    let proc = format!("/proc/{}", machine.outer_pid());
    let status = fs::read_to_string(format!("{proc}/status")).expect("a process");

    let all: u64 = CAPABILITIES.iter().map(|bit| 1 << bit).sum();
    for (name, want) in [
        ("CapBnd", all),
        ("CapPrm", all),
        ("CapEff", all),
        ("CapInh", 0),
        ("CapAmb", 0),
    ] {
        assert_eq!(field(&status, name), format!("{want:016x}"), "{name}");
    }
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    // SECCOMP_MODE_FILTER.
    assert_eq!(field(&status, "Seccomp"), "2");

    // Where not even root may raise limits, systemd gives what there is, and the daemon says so and goes on.
    let limits = fs::read_to_string(format!("{proc}/limits")).expect("limits");
    for (name, want) in [("Max realtime priority", 1), ("Max open files", 65536)] {
        let most = machine.limit(name).unwrap_or(u64::MAX);
        assert_eq!(limit(&limits, name), Some(want.min(most)), "{name}");
    }
    let raised = machine.limit("Max realtime priority") != Some(0);
    // Not while it does bulk work.
    wait_for(SOON, "the loop, and no other thread, runs first", || {
        let mut threads = threads(&proc);
        threads.retain(|t| !t.ends_with(" 0 0"));
        let want = [format!("tapwayd 1 {ROUND_ROBIN}")];
        if threads == want[..usize::from(raised)] {
            Ok(())
        } else {
            Err(format!("{threads:?}"))
        }
    });
    let journal = machine.journal(Some("tapwayd"));
    let complaint = "--realtime has no effect: Operation not permitted";
    assert_eq!(journal.contains(complaint), !raised, "{journal}");
    if !raised {
        eprintln!(
            "NOT RUN: --realtime under systemd needs CAP_SYS_RESOURCE, which root lacks here"
        );
    }
}

/// Each thread of a process as `NAME PRIORITY POLICY` (proc_pid_stat(5), fields 2, 40 and 41).
fn threads(proc: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("{proc}/task")).expect("a process");
    tasks
        .map(|task| {
            let stat = task.expect("a thread").path().join("stat");
            let text = fs::read_to_string(stat).unwrap_or_default();
            let (head, tail) = text.rsplit_once(')').unwrap_or_default();
            let name = head.split_once('(').unwrap_or_default().1;
            let fields: Vec<&str> = tail.split_whitespace().collect();
            let field = |n: usize| fields.get(n - 3).copied().unwrap_or_default();
            format!("{name} {} {}", field(40), field(41))
        })
        .collect()
}

/// What is tried as root of the machine, and then as the unit: a word for it, a command, and what stops it there.
const FORBIDDEN: [(&str, &str, &str); 14] = [
    ("write-etc", "touch /etc/probe", "Read-only file system"),
    (
        "write-config",
        "touch /etc/tapway/probe",
        "Read-only file system",
    ),
    ("write-var", "touch /var/probe", "Read-only file system"),
    ("write-tmp", "touch /tmp/probe", "Read-only file system"),
    (
        "write-var-tmp",
        "touch /var/tmp/probe",
        "Read-only file system",
    ),
    (
        "write-cgroup",
        "mkdir /sys/fs/cgroup/probe",
        "Read-only file system",
    ),
    ("see-home", "cat /home/secret", "No such file"),
    ("see-device", "cat /dev/secret", "No such file"),
    (
        "set-uid",
        "chmod u+s /var/lib/tapway/probe",
        "Operation not permitted",
    ),
    (
        "give-away",
        "chown 1 /var/lib/tapway/probe",
        "Operation not permitted",
    ),
    ("mount", "mount -t tmpfs tmpfs /opt", "permi"),
    ("namespace", "unshare --uts true", "Operation not permitted"),
    ("host-name", "hostname other", "must be root"),
    (
        "packet-socket",
        "perl -e 'socket($s, 17, 3, 0) or die $!'",
        "Address family not supported",
    ),
];

/// What the daemon needs, in the same words.
const ALLOWED: [(&str, &str); 8] = [
    ("state", "touch /var/lib/tapway/probe"),
    ("runtime", "touch /run/tapway/probe"),
    ("logs", "touch /var/log/tapway/probe"),
    (
        "sysctl",
        "perl -e 'open(F, \">\", \"/proc/sys/net/ipv4/ip_forward\") && syswrite(F, 1) or die $!'",
    ),
    ("others-files", "cat /etc/private/secret"),
    ("raw-socket", "perl -e 'socket($s, 10, 3, 58) or die $!'"),
    ("netlink-socket", "perl -e 'socket($s, 16, 3, 0) or die $!'"),
    (
        "port-179",
        "perl -e 'use Socket; socket($s, 2, 1, 0) && bind($s, sockaddr_in(179, inet_aton(\"127.0.0.9\"))) or die $!'",
    ),
];

/// A script that tries all, and writes `WORD: ok` or `WORD: what was said` for each.
fn probe(to: &str) -> String {
    let forbidden = FORBIDDEN.iter().map(|(word, command, _)| (word, command));
    let allowed = ALLOWED.iter().map(|(word, command)| (word, command));
    let mut script = format!(
        "exec >{to}\ntry() {{ word=$1; shift; if said=$(\"$@\" 2>&1); then echo \"$word: ok\"; else echo \"$word: $said\"; fi; }}\n"
    );
    for (word, command) in allowed.chain(forbidden) {
        script.push_str(&format!("try {word} {command}\n"));
    }
    script
}

/// Programs that are started as the unit starts the daemon: what they may do is what the daemon may do.
#[test]
fn who_breaks_into_the_daemon_is_in_a_cage() {
    let bed = Bed::new();
    let mut machine = bed.machine();
    // In a directory and with a mode that only this right opens for root without others: an agent's files.
    machine.write("etc/private/secret", "told\n");
    machine.write("home/secret", "told\n");
    machine.boot();
    machine.run(&["sh", "-c", "chmod 0 /etc/private/secret; chown 65534 /etc/private; chmod 700 /etc/private; touch /dev/secret"]);
    machine.write("etc/tapway/probe-free", &probe("/run/probe-free"));
    machine.write("etc/tapway/probe-caged", &probe("/run/tapway/probe-caged"));
    machine.write(
        "etc/systemd/system/tapwayd.service.d/probe.conf",
        "[Service]\nExecStartPost=sh /etc/tapway/probe-caged\n",
    );
    machine.do_systemctl("daemon-reload");
    machine.do_systemctl("start tapwayd");
    bed.announced();
    let caged = answers(&machine, "run/tapway/probe-caged");
    for (word, command) in ALLOWED {
        assert_eq!(said(&caged, word), "ok", "{command}");
    }
    for (word, command, why) in FORBIDDEN {
        assert!(said(&caged, word).contains(why), "{command}: {caged}");
    }
    // Nothing but the unit stopped them.
    machine.run(&["sh", "/etc/tapway/probe-free"]);
    let free = answers(&machine, "run/probe-free");
    for (word, command, _) in FORBIDDEN {
        assert_eq!(said(&free, word), "ok", "{command}: {free}");
    }
}

#[track_caller]
fn answers(machine: &Machine, file: &str) -> String {
    fs::read_to_string(machine.path(file)).expect("the probe wrote down what it saw")
}

fn said<'a>(answers: &'a str, word: &str) -> &'a str {
    let line = answers
        .lines()
        .find_map(|l| l.strip_prefix(word)?.strip_prefix(": "));
    line.unwrap_or("nothing")
}
