use super::*;
use serde::Deserialize;
use tapway_model::spec::InstanceSpec;

const FILE: &str = "/etc/tapway/instances.d/web1.toml";

fn problem(text: &str) -> Problem {
    match parse::<InstanceSpec>(FILE, text) {
        Err(problem) => problem,
        Ok(document) => {
            let error = document.value.parse().unwrap_err();
            document.problem(&error)
        }
    }
}

#[test]
fn every_problem_has_its_place_and_remedy() {
    for (text, shown) in [
        (
            "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\naddresses = [\"203.0.113.9\", \"203.0.113.1/24\"]\n",
            ":4:29: nic[0].addresses[1]: 203.0.113.1/24 has host bits set; write 203.0.113.0/24 for the network or 203.0.113.1/32 for the one address",
        ),
        (
            "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\n[[nic]]\ninterface = \"tap1\"\nmac = \"01:00:5e:00:00:01\"\n",
            ":6:7: nic[1].mac: 01:00:5e:00:00:01 is a multicast MAC address and cannot belong to a NIC; the first byte must be even",
        ),
        (
            "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\nadresses = []\n",
            ":4:1: nic[0].adresses: there is no key \"adresses\" here; did you mean addresses?",
        ),
        (
            "name = \"web1\"\nnic = [ { interface = \"tap0\", guest_bgp = { asn = 5, prefix = [] } } ]\n",
            ":2:54: nic[0].guest_bgp.prefix: there is no key \"prefix\" here; did you mean prefixes?",
        ),
        (
            "name = \"web1\"\n\n[[nic]]\nmac = \"52:54:00:12:34:56\"\n",
            ":3:1: nic[0]: the key \"interface\" is missing; add interface = …",
        ),
        (
            "[[nic]]\ninterface = \"tap0\"\n",
            ":1:1: the key \"name\" is missing; add name = …",
        ),
        (
            "# nothing\n",
            ":1:1: the key \"name\" is missing; add name = …",
        ),
        ("", ":1:1: the key \"name\" is missing; add name = …"),
        (
            "name = 5\n",
            ":1:8: name: integer `5` is not allowed here; write a text in quotes",
        ),
        (
            "name = \"é\" x\n",
            ":1:12: unexpected key or value, expected newline, `#`",
        ),
        ("name = \"web1\"\nname = \"web2\"\n", ":2:1: duplicate key"),
    ] {
        assert_eq!(
            problem(text).to_string(),
            format!("{FILE}{shown}"),
            "{text}"
        );
    }
}

#[test]
fn keys_are_found_however_they_are_written() {
    #[derive(Deserialize)]
    struct Anything {}
    let text = "a.b = 1\n[peer.\"x.y\"]\nasn = 5\n[peer.x]\nz = [ [1, 2], [3] ]\n[empty]\n";
    let document = parse::<Anything>("f", text).unwrap();
    for (key, place) in [
        ("a.b", Some((1, 7))),
        ("peer.x.y.asn", Some((3, 7))),
        ("peer.x.y.port", Some((2, 7))),
        ("peer.x.z[1][0]", Some((5, 16))),
        ("peer.x.z[7]", Some((5, 5))),
        ("peer.x", Some((4, 7))),
        ("peer.nobody", Some((2, 2))),
        ("empty.key", Some((6, 2))),
        ("other", None),
        ("pee", None),
    ] {
        assert_eq!(document.locate(key), place, "{key}");
    }
}

#[test]
fn json_has_places_too() {
    let problem = parse_json::<InstanceSpec>("request body", b"{\n \"name\": \"a\", \"nics\": []}")
        .unwrap_err();
    assert_eq!(problem.line, Some(2));
    assert_eq!(problem.remedy.as_deref(), Some("did you mean nic?"));
    let problem = parse_json::<InstanceSpec>("request body", b"{").unwrap_err();
    assert!(
        problem.to_string().starts_with("request body:1:1: EOF"),
        "{problem}"
    );
}

#[test]
fn problems_travel_as_json() {
    let before = problem("name = 5\n");
    let text = serde_json::to_string(&before).unwrap();
    assert!(text.contains("\"line\":1,\"column\":8"), "{text}");
    assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), before);
    assert!(
        !serde_json::to_string(&Problem::new("f", "r"))
            .unwrap()
            .contains("line")
    );
}
