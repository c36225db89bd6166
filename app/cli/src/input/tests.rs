use std::fs;

use super::*;

fn names(text: &str, file: &str) -> Result<Vec<String>, String> {
    let text = Text {
        name: file.to_owned(),
        text: text.to_owned(),
    };
    match instances_of(&text) {
        Ok(specs) => Ok(specs.into_iter().map(|s| s.name).collect()),
        Err(problem) => Err(problem.to_string()),
    }
}

#[test]
fn one_or_many_in_either_language() {
    let nic = "[[nic]]\ninterface = \"tap0\"\n";
    for (file, text, expected) in [
        ("a.toml", format!("name = \"a\"\n{nic}"), vec!["a"]),
        ("-", format!("# comment\nname = \"a\"\n{nic}"), vec!["a"]),
        ("a.json", r#"{"name":"a"}"#.to_owned(), vec!["a"]),
        ("-", "\n {\"name\":\"a\"}".to_owned(), vec!["a"]),
        ("-", "[ {\"name\":\"a\"}, {\"name\":\"b\"}]".to_owned(), vec!["a", "b"]),
        ("-", "[]".to_owned(), vec![]),
        (
            "many.toml",
            "[[instance]]\nname = \"a\"\n[[instance.nic]]\ninterface = \"t\"\n[[instance]]\nname = \"b\"\n"
                .to_owned(),
            vec!["a", "b"],
        ),
    ] {
        let found = names(&text, file).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_is_wrong_has_its_place() {
    for (file, text, shown) in [
        (
            "a.toml",
            "name = \"a\"\n[[nic]]\ninterface = \"t\"\naddresses = [\"10.0.0.1/24\"]",
            "a.toml:4:14: nic[0].addresses[0]: 10.0.0.1/24 has host bits set",
        ),
        (
            "a.toml",
            "[[instance]]\nname = \"a\"\n[[instance.nic]]\ninterface = \"t\"\nmac = \"01:00:00:00:00:00\"",
            "a.toml:5:7: instance[0].nic[0].mac: 01:00:00:00:00:00 is a multicast",
        ),
        (
            "a.json",
            r#"[{"name":"a"},{"name":"b c"}]"#,
            "a.json: [1].name: the instance name \"b c\"",
        ),
        (
            "a.json",
            r#"{"name":"a"}}"#,
            "a.json:1:13: trailing characters",
        ),
        ("-", "nonsense", "-:1:"),
        ("a.toml", "", "a.toml:1:1: the key \"name\" is missing"),
    ] {
        let error = names(text, file).unwrap_err();
        assert!(error.starts_with(shown), "{error}");
    }
}

#[test]
fn directories_are_read_and_everything_wrong_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("b.toml"), "name = \"b\"").unwrap();
    fs::write(path("a.json"), r#"{"name":"a"}"#).unwrap();
    fs::write(path(".c.toml"), "broken").unwrap();
    fs::write(path("b.toml~"), "broken").unwrap();
    let all = instances(&[dir.path().to_owned()]).unwrap();
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);

    fs::write(path("x.toml"), "broken").unwrap();
    fs::write(path("y.toml"), "name = \"a\"").unwrap();
    let failure = instances(&[dir.path().to_owned(), path("none.toml")]).unwrap_err();
    assert_eq!(failure.code(), 2);
    let text = failure.to_string();
    for part in ["x.toml:1:", "the instance a is in ", "none.toml: "] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let empty = tempfile::tempdir().unwrap();
    let text = instances(&[empty.path().to_owned()])
        .unwrap_err()
        .to_string();
    assert!(text.contains("no .toml or .json file"), "{text}");
}

#[test]
fn peers_by_table_or_by_name() {
    let text = |text: &str| Text {
        name: "p".to_owned(),
        text: text.to_owned(),
    };
    let tables = text("[peer.tor1]\nasn = 65000\n[peer.tor2]\nasn = \"external\"\n");
    let all = objects(&tables, "peer", None).unwrap();
    assert_eq!(
        serde_json::to_string(&all).unwrap(),
        r#"[["tor1",{"asn":65000}],["tor2",{"asn":"external"}]]"#
    );
    let keys = text("{\"asn\": 65000}");
    let one = objects(&keys, "peer", Some("tor1")).unwrap();
    assert_eq!(
        serde_json::to_string(&one).unwrap(),
        r#"[["tor1",{"asn":65000}]]"#
    );
    for (text, name, part) in [
        (&tables, Some("tor1"), "leave the name tor1 out"),
        (&keys, None, "asn: only [peer.NAME] tables"),
        (&text(""), None, "no [peer.NAME] table"),
        (&text("[policy.x]"), None, "policy: only [peer.NAME]"),
        (&text("[1]"), None, "1: only [peer.NAME]"),
        (&text("nonsense"), None, "p:1:"),
    ] {
        let error = objects(text, "peer", name).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
