//! Installing what the tests need from Debian's archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::run::{command, is_root, run};

/// What makes `invoke-rc.d` start nothing (see invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Ours, so that one which an interrupted run left behind is known.
const POLICY_TEXT: &str =
    "#!/bin/sh\n# Made by tapway's tests while they install packages.\nexit 101\n";

/// A program and the package that has it.
pub(crate) type Tool = (&'static str, &'static str);

/// What namespaces need.
pub(crate) const NAMESPACES: &[Tool] = &[
    ("/usr/bin/ip", "iproute2"),
    ("/usr/bin/setpriv", "util-linux"),
];

/// What namespace and interop tests need.
pub(crate) const ALL: &[Tool] = &[
    ("/usr/bin/ip", "iproute2"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/usr/lib/systemd/systemd", "systemd"),
    ("/usr/sbin/bird", "bird2"),
    ("/usr/lib/frr/bgpd", "frr"),
    ("/usr/bin/gobgpd", "gobgpd"),
    ("/usr/bin/stayrtr", "stayrtr"),
    ("/usr/sbin/pmbmpd", "pmacct"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/bin/ping", "iputils-ping"),
    ("/usr/bin/tcpdump", "tcpdump"),
    ("/usr/sbin/ethtool", "ethtool"),
];

/// What the benchmark measures beside those in [`ALL`].
pub(crate) const BENCH: &[Tool] = &[("/usr/sbin/bgpd", "openbgpd")];

/// Installs the packages of missing programs. No service is started by it.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&str> = tools
        .iter()
        .filter(|(program, _)| !present(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!("these programs are missing; install them and try again: {list}");
    }
    eprintln!("    installing {list}");
    let _policy = Policy::set()?;
    let apt = |arguments: &str| {
        let mut apt = command(&format!(
            "apt-get -qq -o DPkg::Lock::Timeout=600 {arguments}"
        ));
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    let install = format!("install -y --no-install-recommends {list}");
    // The lists of a machine that was used before are mostly good enough, and quicker.
    if run(&mut apt(&install)).is_err() {
        run(&mut apt("update"))?;
        run(&mut apt(&install))?;
    }
    match tools.iter().find(|(program, _)| !present(program)) {
        None => Ok(()),
        Some((program, package)) => bail!("{package} is installed but {program} is not there"),
    }
}

/// Debian 12 and later merge `/usr/bin` and `/bin`; programs move between `bin` and `sbin`.
fn present(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    Path::new(program).exists()
        || [
            "/usr/bin",
            "/usr/sbin",
            "/bin",
            "/sbin",
            "/usr/local/bin",
            "/usr/local/sbin",
        ]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists() && !program.contains("/lib/"))
}

/// While it lives, packages start no services. One that was there already stays as it is.
struct Policy {
    ours: bool,
}

impl Policy {
    fn set() -> Result<Policy> {
        let ours = match fs::read_to_string(POLICY) {
            Ok(text) => text == POLICY_TEXT,
            Err(_) => {
                fs::write(POLICY, POLICY_TEXT)?;
                fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
                true
            }
        };
        Ok(Policy { ours })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}
