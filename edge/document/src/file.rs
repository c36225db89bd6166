//! Files that are read: never more than allowed, never what is no file, never an open secret.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::problem::Problem;

/// `O_NONBLOCK` of Linux: opening a FIFO returns at once instead of waiting for a writer.
const O_NONBLOCK: i32 = 0o4000;

/// A secret longer than this is certainly not one.
const SECRET_LIMIT: u64 = 4096;

/// Opens a regular file of at most `limit` bytes. The size is asked of the open file, so that what
/// was checked is what is read.
fn open(path: &Path, limit: u64) -> Result<(File, std::fs::Metadata), Problem> {
    let name = path.display().to_string();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(|e| Problem::new(&name, format!("cannot be opened: {e}")))?;
    let meta = file
        .metadata()
        .map_err(|e| Problem::new(&name, format!("cannot be examined: {e}")))?;
    if !meta.is_file() {
        return Err(Problem::new(&name, "is not a regular file").with_remedy("move it elsewhere"));
    }
    if meta.len() > limit {
        return Err(too_large(&name, meta.len(), limit));
    }
    Ok((file, meta))
}

fn too_large(name: &str, len: u64, limit: u64) -> Problem {
    Problem::new(name, format!("has {len} bytes; at most {limit} are read"))
        .with_remedy("split it or move it elsewhere")
}

/// Reads at most `limit` bytes: the file may grow while it is read. One call does for a file that
/// does not, because less than was asked for means that there is no more.
fn read(mut file: File, name: &str, len: u64, limit: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0) + 1];
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(more) => filled += more,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(Problem::new(name, format!("cannot be read: {e}"))),
        }
        if filled as u64 > limit {
            return Err(too_large(name, filled as u64, limit));
        }
        if filled < bytes.len() {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        bytes.resize(bytes.len() * 2, 0);
    }
}

/// The text of a regular file of at most `limit` bytes. A larger one is refused unread.
///
/// # Errors
/// When it cannot be read, is larger, is not a regular file, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, Problem> {
    let name = path.display().to_string();
    let (file, meta) = open(path, limit)?;
    let bytes = read(file, &name, meta.len(), limit)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        Problem::new(&name, "is not UTF-8 text from here on")
            .with_remedy("save it as UTF-8")
            .at(crate::place::line_and_column(&text, text.len()))
    })
}

/// The secret in a file, without one newline at its end. Refused when others than the owner and the
/// owner's group can read it, or others than the owner can write it.
///
/// # Errors
/// When it cannot be read, is open to others, is empty, is longer than 4 KiB, or is not UTF-8.
pub fn read_secret(path: &Path) -> Result<String, Problem> {
    let name = path.display().to_string();
    let (file, meta) = open(path, SECRET_LIMIT)?;
    let mode = meta.mode() & 0o777;
    let open_to = if mode & 0o006 != 0 {
        Some("everybody on this machine can read or change it")
    } else if mode & 0o020 != 0 {
        Some("its group can change it")
    } else {
        None
    };
    if let Some(why) = open_to {
        return Err(Problem::new(
            &name,
            format!("holds a secret, but has mode {mode:04o}: {why}"),
        )
        .with_remedy(format!("run: chmod 600 {name}")));
    }
    let bytes = read(file, &name, meta.len(), SECRET_LIMIT)?;
    let mut secret = String::from_utf8(bytes)
        .map_err(|_| Problem::new(&name, "holds a secret that is not UTF-8 text"))?;
    if secret.ends_with('\n') {
        secret.pop();
    }
    if secret.is_empty() {
        return Err(Problem::new(&name, "holds no secret: it is empty")
            .with_remedy("write the password into it"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> std::path::PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, refused) in [
            (0o600, None),
            (0o400, None),
            (0o640, None),
            (0o644, Some("everybody")),
            (0o604, Some("everybody")),
            (0o602, Some("everybody")),
            (0o660, Some("group can change")),
        ] {
            let path = file(dir.path(), "key", b"pw ord\n", mode);
            match (read_secret(&path), refused) {
                (Ok(secret), None) => assert_eq!(secret, "pw ord"),
                (Err(problem), Some(part)) => {
                    let text = problem.to_string();
                    assert!(text.contains(part), "{mode:o}: {text}");
                    assert!(
                        text.contains(&format!("chmod 600 {}", path.display())),
                        "{text}"
                    );
                    assert!(!text.contains("pw ord"), "{text}");
                }
                (result, _) => panic!("{mode:o}: {result:?}"),
            }
        }
    }

    #[test]
    fn one_newline_goes_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, secret) in [
            (&b"a"[..], Some("a")),
            (b"a\n", Some("a")),
            (b"a\n\n", Some("a\n")),
            (b" a ", Some(" a ")),
            (b"\n", None),
            (b"", None),
            (b"\xff\xfe", None),
        ] {
            let path = file(dir.path(), "key", bytes, 0o600);
            assert_eq!(read_secret(&path).ok().as_deref(), secret, "{bytes:?}");
        }
    }

    #[test]
    fn a_large_file_is_refused_without_reading_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.toml");
        // Sparse: it takes no room, and reading it would give 100 MB of zeros.
        File::create(&path).unwrap().set_len(100_000_000).unwrap();
        let problem = read_text(&path, 1 << 20).unwrap_err();
        assert!(problem.reason.contains("has 100000000 bytes"), "{problem}");
        assert!(problem.remedy.is_some());
    }

    #[test]
    fn a_file_that_grows_is_read_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "log", &[b'x'; 5000], 0o600);
        for (known, limit, read_len) in [
            (5000, 9000, Some(5000)),
            (10, 9000, Some(5000)),
            (0, 5000, Some(5000)),
            (6000, 9000, Some(5000)),
            (10, 3000, None),
        ] {
            let result = read(File::open(&path).unwrap(), "log", known, limit);
            assert_eq!(result.ok().map(|b| b.len()), read_len, "{known} {limit}");
        }
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            read_text(dir.path(), 10)
                .unwrap_err()
                .reason
                .contains("regular file")
        );
        let missing = read_text(&dir.path().join("nope"), 10).unwrap_err();
        assert!(missing.reason.contains("cannot be opened"), "{missing}");
        let latin = file(dir.path(), "latin", b"a = 1\nb = \"\xe9\"", 0o600);
        let problem = read_text(&latin, 100).unwrap_err();
        assert_eq!(
            (problem.line, problem.column),
            (Some(2), Some(6)),
            "{problem}"
        );
        let status = std::process::Command::new("mkfifo")
            .arg(dir.path().join("fifo"))
            .status();
        if status.is_ok_and(|s| s.success()) {
            let problem = read_text(&dir.path().join("fifo"), 10).unwrap_err();
            assert!(problem.reason.contains("regular file"), "{problem}");
        }
    }
}
