//! Password files that everybody can read: refused, with what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bed::Bed;
use crate::config::check;

#[test]
fn a_password_that_all_can_read() {
    let bed = Bed::new();
    let key = bed.tapwayd.state().with_extension("key");
    fs::write(&key, "hunter2\n").expect("a file");
    let config = format!(
        "[router]\nasn = 64612\n[peer.tor]\naddress = \"192.0.2.1\"\nasn = 65000\npassword_file = \"{}\"\n[source.files]\npath = \"{}\"\n",
        key.display(),
        bed.tapwayd.instances().display()
    );
    for (mode, good) in [(0o644, false), (0o604, false), (0o600, true), (0o640, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("a mode");
        let (code, text) = check(&bed, &config);
        assert_eq!(code, i32::from(!good), "{mode:o}: {text}");
        if !good {
            println!("{text}");
            assert!(
                text.contains(&format!("chmod 600 {}", key.display())),
                "{text}"
            );
            assert!(text.contains("FILE:6:"), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }
}
