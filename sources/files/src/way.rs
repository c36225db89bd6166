//! Which directories decide where a path leads.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, as the kernel does (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// Every directory that holds a part of `path`, and of the links on its way, as far as they are there: a
/// change of the path's end has its event in one of them.
pub(crate) fn directories_on_the_way(path: &Path) -> Vec<PathBuf> {
    let mut here = PathBuf::from(".");
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let mut way = Vec::new();
    let mut links = 0;
    let parts = |path: &Path| -> Vec<OsString> {
        let parts = path.components();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    ahead.extend(parts(path));
    while let Some(part) = ahead.pop_front() {
        if let Some(Component::RootDir) = Path::new(&part).components().next() {
            here = PathBuf::from(part);
            continue;
        }
        if !way.contains(&here) {
            way.push(here.clone());
        }
        let next = here.join(&part);
        match next.read_link() {
            Ok(target) if links < LINKS => {
                links += 1;
                parts(&target)
                    .into_iter()
                    .rev()
                    .for_each(|part| ahead.push_front(part));
            }
            _ => here = next,
        }
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_through_others() {
        let root = tempfile::tempdir().unwrap();
        // Where the root leads is the machine's matter.
        let root = root.path().canonicalize().unwrap();
        let at = |below: &str| root.join(below);
        create_dir_all(at("real/dir")).unwrap();
        create_dir_all(at("links")).unwrap();
        symlink("../real", at("links/second")).unwrap();
        symlink(at("links/second"), at("first")).unwrap();
        let way = directories_on_the_way(&at("first/dir"));
        let expected = [
            root.clone(),
            at("links"),
            at("links/.."),
            at("links/../real"),
        ];
        for directory in expected {
            assert!(way.contains(&directory), "{directory:?} in {way:?}");
        }
        assert!(way.contains(&PathBuf::from("/")));
        assert!(!way.contains(&at("first")));
    }

    #[test]
    fn a_circle_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("one"), root.path().join("other"));
        symlink(&one, &other).unwrap();
        symlink(&other, &one).unwrap();
        assert!(directories_on_the_way(&one.join("dir")).contains(&root.path().to_path_buf()));
    }

    #[test]
    fn a_relative_path_begins_here() {
        assert_eq!(
            directories_on_the_way(Path::new("not-there/dir")),
            [PathBuf::from("."), PathBuf::from("./not-there")]
        );
    }
}
