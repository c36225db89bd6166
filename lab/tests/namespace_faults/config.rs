//! Configurations that are wrong: checked, read again, and started with.

use std::fs;

use crate::bed::{Bed, SOON};

/// `tapwayd --check` on this configuration: its exit code and what it said.
pub(crate) fn check(bed: &Bed, config: &str) -> (i32, String) {
    let file = bed.tapwayd.state().with_extension("try.toml");
    fs::write(&file, config).expect("a file");
    let program = std::env::var_os("TAPWAYD_BIN")
        .map_or_else(|| bed_program("tapwayd"), std::path::PathBuf::from);
    let output = bed
        .host
        .command(program)
        .arg("--config")
        .arg(&file)
        .arg("--check")
        .output()
        .expect("tapwayd");
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (
        output.status.code().expect("it exits"),
        text.replace(&*file.to_string_lossy(), "FILE"),
    )
}

fn bed_program(name: &str) -> std::path::PathBuf {
    tapway_lab::Tapwayd::programs()
        .expect("a folder of programs")
        .join(name)
}

#[test]
fn wrong_configurations() {
    let mut bed = Bed::new();
    let router = "[router]\nasn = 64612\n";
    for (config, said) in [
        (
            format!("{router}[peer.tor]\naddres = \"192.0.2.1\"\nasn = 1\n"),
            vec!["FILE:4:1: ", "did you mean address?"],
        ),
        (
            format!("{router}[peer.tor]\naddress = \"192.0.2.1\"\nasn = \"outer\"\n"),
            vec!["FILE:5:7: "],
        ),
        (
            format!("{router}[peer.tor]\naddress = \"192.0.2.1\n"),
            vec!["FILE:4:"],
        ),
        (
            format!("{router}[network.public]\nallow = [\"203.0.113.1/24\"]\n"),
            vec!["FILE:4:10: ", "host bits", "203.0.113.0/24"],
        ),
        (
            format!("{router}[peer.tor]\naddress = \"192.0.2.1\"\nasn = 1\nexport = \"claim\"\n"),
            vec!["FILE:6:10: ", "claims"],
        ),
        (
            "[ruoter]\nasn = 1\n".to_string(),
            vec!["FILE:1:", "did you mean router?"],
        ),
    ] {
        let (code, text) = check(&bed, &config);
        println!("{text}");
        assert_eq!(code, 1, "{text}");
        for word in said {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
    }
    let (code, text) = check(
        &bed,
        &format!(
            "{router}[source.files]\npath = \"{}\"\n",
            bed.tapwayd.instances().display()
        ),
    );
    assert_eq!(code, 0, "{text}");

    // A running daemon keeps what it has.
    bed.plug("tap0");
    bed.guest("tap0", &["203.0.113.1"]);
    bed.announces(&["203.0.113.1/32"]);
    let good = fs::read_to_string(bed.tapwayd.config_file()).expect("a file");
    fs::write(
        bed.tapwayd.config_file(),
        good.replace("asn = 65000", "asn = \"outer\""),
    )
    .expect("a file");
    let answer = bed.tapwayd.tapway(&["config", "reload"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(format!("{answer:?}").contains("outer"), "{answer:?}");
    bed.announces(&["203.0.113.1/32"]);
    bed.tapwayd.wait_established(SOON);
    // It does not start with it either, and says why.
    bed.tapwayd.kill();
    bed.tapwayd.launch(&bed.host);
    let status = bed.tapwayd.process().expect("started").wait(SOON);
    assert_eq!(status.code(), Some(1));
    bed.tapwayd.logs("tapway.toml:");
    fs::write(bed.tapwayd.config_file(), good).expect("a file");
    bed.tapwayd.restart(&bed.host);
    bed.announces(&["203.0.113.1/32"]);
}

/// One mistake in each table, and two files of instances that are broken.
#[test]
fn every_mistake_is_told_at_once() {
    let bed = Bed::new();
    let instances = bed.tapwayd.instances();
    bed.tapwayd.put_text("good", "name = \"good\"\n");
    bed.tapwayd.put_text("lost", "name = \"lost\"\n[[nic]]\n");
    bed.tapwayd.put_text("typo", "nmae = \"typo\"\n");
    let config = format!(
        r#"[router]
asn = 64612
routerid = "192.0.2.1"
[peer.one]
addres = "192.0.2.1"
asn = 1
[peer.two]
address = "192.0.2.2"
asn = "outer"
[peer.three]
address = "192.0.2.3"
asn = 3
hold_time = "1s"
[peer.four]
address = "192.0.2.4"
asn = 4
export = "claim"
[network.public]
allow = ["203.0.113.1/24"]
[network.inner]
peers = ["five"]
[policy.first]
rules = [{{ action = "acept" }}]
[policy.second]
rules = [{{ match = {{ prefixes = ["203.0.113.0/33"] }}, action = "accept" }}]
[source.files]
path = "{}"
[api]
htpp = "127.0.0.1:9179"
[polcy.third]
"#,
        instances.display()
    );
    let (code, text) = check(&bed, &config);
    let text = text.replace(&*instances.to_string_lossy(), "INSTANCES");
    println!("{text}");
    assert_eq!(code, 1);
    let golden = include_str!("mistakes.golden");
    assert_eq!(text, golden, "see mistakes.golden beside this file");

    // The running daemon says the same of it, as far as it is about the configuration.
    let file = bed.tapwayd.config_file().with_file_name("try.toml");
    fs::write(&file, &config).expect("a file");
    let answer = bed
        .tapwayd
        .tapway(&["config", "check", &file.to_string_lossy()]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let said = format!("{}{}", answer.out, answer.err);
    println!("{said}");
    let of_config = golden.lines().filter(|line| line.starts_with("FILE:"));
    for line in of_config {
        let place = line.replacen("FILE", &file.to_string_lossy(), 1);
        let place = place.split(": ").take(2).collect::<Vec<_>>().join(": ");
        assert!(said.contains(&place), "no {place} in {said}");
    }
    bed.tapwayd.wait_established(SOON);
}
