//! One file's text to an instance. Pure.

use tapway_document::Problem;
use tapway_model::spec::InstanceSpec;
use tapway_model::{Instance, InstanceName};

/// The instance that a file's text describes. `file` is its name in problems.
///
/// # Errors
/// The first thing wrong, with its place.
pub fn parse(file: &str, text: &str) -> Result<Instance, Problem> {
    let document = tapway_document::parse::<InstanceSpec>(file, text)?;
    document
        .value
        .parse()
        .map_err(|error| document.problem(&error))
}

/// Where the value of the top-level key `name` stands, if anywhere.
pub(crate) fn name_place(text: &str) -> Option<(u32, u32)> {
    name_value(text).map(|(line, column, _)| (line, column))
}

/// The instance that a broken file probably means: what follows `name =`, else the file's own name.
pub(crate) fn probable_name(file_name: &str, text: Option<&str>) -> Option<InstanceName> {
    let stem = file_name.strip_suffix(".toml").unwrap_or(file_name);
    let written = text.and_then(name_value).and_then(|(_, _, rest)| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    InstanceName::new(written.unwrap_or(stem)).ok()
}

fn name_value(text: &str) -> Option<(u32, u32, &str)> {
    for (number, line) in (1u32..).zip(text.lines()) {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[') {
            return None;
        }
        let Some(rest) = trimmed.strip_prefix("name") else {
            continue;
        };
        let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let column = line[..line.len() - value.len()].chars().count() + 1;
        return Some((number, u32::try_from(column).unwrap_or(u32::MAX), value));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_file_is_refused_with_place_and_remedy() {
        let nic = "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\n";
        for (text, shown) in [
            (
                format!("{nic}addresses = [\"203.0.113.1/24\"]"),
                "f:4:14: nic[0].addresses[0]: 203.0.113.1/24 has host bits set; write ",
            ),
            (
                format!("{nic}mac = \"33:33:00:00:00:01\""),
                "f:4:7: nic[0].mac: 33:33:00:00:00:01 is a multicast MAC",
            ),
            (
                format!("{nic}addreses = []"),
                "f:4:1: nic[0].addreses: there is no key \"addreses\" here; did you mean addresses?",
            ),
            (
                format!("{nic}addresses = [\"203.0.113.1"),
                "f:4:26: unclosed array, expected `]`",
            ),
            (
                "[[nic]]\ninterface = \"tap0\"\n".to_string(),
                "f:1:1: the key \"name\" is missing",
            ),
            ("\0\0\0".to_string(), "f:1:4: key with no value"),
        ] {
            let problem = parse("f", &text).unwrap_err().to_string();
            assert!(problem.starts_with(shown), "{problem}");
        }
        assert_eq!(parse("f", nic).unwrap().nics.len(), 1);
    }

    #[test]
    fn a_transparent_address_is_refused_by_its_key() {
        let nic = "name = \"web1\"\n[[nic]]\ninterface = \"tap0\"\ntransparent = ";
        for (value, key, shown) in [
            (
                "[7]",
                "nic[0].transparent[0]",
                "integer `7` is not allowed here; write an address in quotes, or { address = \"...\", to = \"...\" }",
            ),
            (
                "[{ address = \"203.0.113.11\", too = \"10.0.0.1\" }]",
                "nic[0].transparent[0].too",
                "there is no key \"too\" here; did you mean to?",
            ),
            (
                "[\"203.0.113.12\", { address = \"203.0.113.11\" }]",
                "nic[0].transparent[1]",
                "the key \"to\" is missing; add to = …",
            ),
            (
                "[{ address = 7, to = \"10.0.0.1\" }]",
                "nic[0].transparent[0].address",
                "integer `7` is not allowed here; write a text in quotes",
            ),
        ] {
            let problem = parse("f", &format!("{nic}{value}"))
                .unwrap_err()
                .to_string();
            assert!(problem.contains(&format!(": {key}: {shown}")), "{problem}");
        }
        let both = "[\"203.0.113.12\", { address = \"203.0.113.11\", to = \"10.0.0.1\" }]";
        let parsed = parse("f", &format!("{nic}{both}")).unwrap();
        assert_eq!(parsed.nics[0].transparent.len(), 2);
    }

    #[test]
    fn the_name_of_a_broken_file_is_guessed() {
        for (file, text, name) in [
            ("web1.toml", None, Some("web1")),
            ("web1.toml", Some("name = \"db1\"\n[[nic"), Some("db1")),
            ("web1.toml", Some("# x\n  name='db1'"), Some("db1")),
            ("web1.toml", Some("[[nic]]\nname = \"x\""), Some("web1")),
            ("web1.toml", Some("names = \"x\""), Some("web1")),
            ("we b.toml", None, None),
        ] {
            let guess = probable_name(file, text);
            assert_eq!(
                guess.as_ref().map(InstanceName::as_str),
                name,
                "{file} {text:?}"
            );
        }
        assert_eq!(name_place("\n  name = \"x\""), Some((2, 10)));
    }
}
