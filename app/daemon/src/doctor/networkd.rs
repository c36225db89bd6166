//! systemd-networkd removes routes and rules that it did not make, unless it is told not to.

use std::fs;
use std::path::Path;

use tapway_api::doctor::{Check, CheckStatus};

use super::with_remedy;

const NAME: &str = "networkd";
const KEYS: [&str; 2] = ["ManageForeignRoutes", "ManageForeignRoutingPolicyRules"];

/// Looks for a running networkd and for its settings, in the order that it reads them.
pub(super) fn check() -> Check {
    check_in(Path::new("/"))
}

fn check_in(root: &Path) -> Check {
    if !root.join("run/systemd/netif/state").exists() {
        return super::check(NAME, CheckStatus::Ok, "systemd-networkd does not run here");
    }
    let text = configuration(root);
    let open: Vec<&str> = KEYS.into_iter().filter(|key| !is_off(&text, key)).collect();
    if open.is_empty() {
        return super::check(
            NAME,
            CheckStatus::Ok,
            "systemd-networkd leaves foreign routes and rules alone",
        );
    }
    with_remedy(
        super::check(
            NAME,
            CheckStatus::Failed,
            format!(
                "systemd-networkd runs and removes what it did not make: {} not off",
                open.join(" and ")
            ),
        ),
        "put packaging/networkd/10-tapway.conf into /etc/systemd/networkd.conf.d/ and restart systemd-networkd",
    )
}

/// `networkd.conf` and its drop-ins, sorted by file name whatever their directory; later ones win.
fn configuration(root: &Path) -> String {
    let mut text = fs::read_to_string(root.join("etc/systemd/networkd.conf")).unwrap_or_default();
    let mut files: Vec<_> = ["usr/lib", "run", "etc"]
        .iter()
        .filter_map(|base| fs::read_dir(root.join(base).join("systemd/networkd.conf.d")).ok())
        .flat_map(|dir| dir.flatten().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    for file in files {
        text.push('\n');
        text.push_str(&fs::read_to_string(file).unwrap_or_default());
    }
    text
}

fn is_off(text: &str, key: &str) -> bool {
    text.lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix(key)?
                .trim_start()
                .strip_prefix('=')
        })
        .next_back()
        .is_some_and(|value| matches!(value.trim(), "no" | "false" | "off" | "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(check_in(root.path()).status, CheckStatus::Ok);
        write("run/systemd/netif/state", "");
        let found = check_in(root.path());
        assert_eq!(found.status, CheckStatus::Failed);
        assert!(
            found.summary.contains("ManageForeignRoutes and"),
            "{}",
            found.summary
        );
        write(
            "etc/systemd/networkd.conf",
            "[Network]\nManageForeignRoutes=yes\n",
        );
        write(
            "etc/systemd/networkd.conf.d/10-tapway.conf",
            include_str!("../../../../packaging/networkd/10-tapway.conf"),
        );
        assert_eq!(check_in(root.path()).status, CheckStatus::Ok);
        write(
            "usr/lib/systemd/networkd.conf.d/90-x.conf",
            "ManageForeignRoutes = yes\n",
        );
        assert_eq!(check_in(root.path()).status, CheckStatus::Failed);
    }
}
