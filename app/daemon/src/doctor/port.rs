//! Who has the port that we want to listen on.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tapway_api::doctor::{Check, CheckStatus};

use super::with_remedy;

const NAME: &str = "bgp-port";

/// Names the program behind every listener that could not be opened.
pub(super) fn check(failed: &[(SocketAddr, String)]) -> Check {
    if failed.is_empty() {
        return super::check(
            NAME,
            CheckStatus::Ok,
            "every address for peers is listened on",
        );
    }
    let mut found = with_remedy(
        super::check(
            NAME,
            CheckStatus::Failed,
            format!("{} addresses for peers cannot be listened on", failed.len()),
        ),
        "stop the other BGP daemon, or set listen under [router]",
    );
    found.detail = failed
        .iter()
        .map(|(addr, why)| match holder(addr.port()) {
            Some((pid, name)) => {
                format!("{addr}: port {} is held by {name} (pid {pid})", addr.port())
            }
            None => format!("{addr}: {why}"),
        })
        .collect();
    found
}

/// The process that listens on a TCP port of this network namespace.
pub(super) fn holder(port: u16) -> Option<(u32, String)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| listening_inodes(&text, port))
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let fds = fs::read_dir(entry.path().join("fd")).ok()?;
        let holds = fds.flatten().any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|target| {
                inodes
                    .iter()
                    .any(|inode| target == Path::new(&format!("socket:[{inode}]")))
            })
        });
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        holds.then(|| (pid, name.trim().to_owned()))
    })
}

/// Inodes of sockets in state LISTEN (0A) on `port`, from the text of `/proc/net/tcp`.
fn listening_inodes(text: &str, port: u16) -> Vec<String> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let local = fields.get(1)?.rsplit_once(':')?.1;
            let matches =
                u16::from_str_radix(local, 16) == Ok(port) && fields.get(3) == Some(&"0A");
            matches
                .then(|| (*fields.get(9)?).to_owned().into())
                .flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_proc() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 00000000:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0\n   \
             1: 0100007F:00B3 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0 100 0 0 10 0\n";
        assert_eq!(listening_inodes(text, 179), ["12345"]);
        assert!(listening_inodes(text, 180).is_empty());
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder(port).unwrap().0, std::process::id());
    }
}
