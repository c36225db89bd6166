//! Sysctls of the calling thread's network namespace, below `/proc/sys/net`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Reads a value, without the newline at its end.
///
/// # Errors
/// When there is no such sysctl (`NotFound`, also for an interface that is gone).
pub fn read(path: &str) -> io::Result<String> {
    let mut text = fs::read_to_string(full(path)?)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Writes a value.
///
/// # Errors
/// When there is no such sysctl, the kernel refuses the value, or `/proc/sys` is read-only.
pub fn write(path: &str, value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(full(path)?)?
        .write_all(value.as_bytes())
}

fn full(path: &str) -> io::Result<PathBuf> {
    if path.is_empty()
        || path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{path:?} is no path below /proc/sys/net"),
        ));
    }
    // `/proc/sys` follows the thread; `/proc/sys/net` is resolved in the opener's namespace.
    Ok(["/proc/sys/net", path].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_net() {
        for path in [
            "",
            "/etc/passwd",
            "../kernel/hostname",
            "ipv4/../../kernel/hostname",
            "ipv4//x",
        ] {
            assert_eq!(
                read(path).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{path}"
            );
        }
        assert_eq!(
            read("ipv4/conf/no-such-if0/forwarding").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(["0", "1"].contains(&read("ipv4/ip_forward").unwrap().as_str()));
    }
}
