//! The sentences of serde and the TOML parser, reworded for people: what is wrong, what to write.

/// Splits a deserialiser's sentence into what is wrong and what to write instead, both for people.
pub fn reword(message: &str) -> (String, Option<String>) {
    let message = message.trim();
    if message.starts_with("unknown field ") {
        return unknown(message, "there is no key", "");
    }
    if message.starts_with("unknown variant ") {
        return unknown(message, "there is no value", "\"");
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        let key = key.trim_matches('`');
        return (
            format!("the key {key:?} is missing"),
            Some(format!("add {key} = …")),
        );
    }
    for (start, word) in [
        ("invalid type: ", "is not allowed here"),
        ("invalid value: ", "is wrong"),
    ] {
        if let Some(rest) = message.strip_prefix(start)
            && let Some((found, wanted)) = rest.split_once(", expected ")
        {
            return (
                format!("{found} {word}"),
                Some(format!("write {}", plain_words(wanted))),
            );
        }
    }
    (message.to_string(), None)
}

/// `unknown field `x`, expected one of `a`, `b``: the words in backquotes are the one found and the
/// ones known.
fn unknown(message: &str, what: &str, quote: &str) -> (String, Option<String>) {
    let mut words = message.split('`').skip(1).step_by(2);
    let found = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    let remedy = match nearest(found, &known) {
        Some(meant) => format!("did you mean {quote}{meant}{quote}?"),
        None if known.is_empty() => "remove it".to_string(),
        None => {
            let list: Vec<String> = known.iter().map(|k| format!("{quote}{k}{quote}")).collect();
            format!("known here: {}", list.join(", "))
        }
    };
    (format!("{what} {found:?} here"), Some(remedy))
}

/// What serde calls by the names of Rust's types.
fn plain_words(wanted: &str) -> &str {
    match wanted {
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in [ ]",
        "a map" => "a table",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The known word that was probably meant.
pub fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |s: &str| s.to_ascii_lowercase().replace('-', "_");
    let wanted = plain(found);
    known
        .iter()
        .map(|k| (plain(k), *k))
        .map(|(word, k)| {
            let slip = word.len() > 2 && strsim::damerau_levenshtein(&wanted, &word) == 1;
            let score = strsim::jaro_winkler(&wanted, &word);
            (if slip { score + 1.0 } else { score }, k)
        })
        .filter(|(score, _)| *score >= 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        for (message, reason, remedy) in [
            (
                "unknown field `adresses`, expected one of `interface`, `addresses`",
                "there is no key \"adresses\" here",
                Some("did you mean addresses?"),
            ),
            (
                "unknown field `hold-time`, expected one of `port`, `hold_time`",
                "there is no key \"hold-time\" here",
                Some("did you mean hold_time?"),
            ),
            (
                "unknown field `x`, expected `name` or `nic`",
                "there is no key \"x\" here",
                Some("known here: name, nic"),
            ),
            (
                "unknown field `x`, there are no fields",
                "there is no key \"x\" here",
                Some("remove it"),
            ),
            (
                "unknown variant `acept`, expected one of `accept`, `reject`, `next`",
                "there is no value \"acept\" here",
                Some("did you mean \"accept\"?"),
            ),
            (
                "missing field `interface`",
                "the key \"interface\" is missing",
                Some("add interface = …"),
            ),
            (
                "invalid type: integer `5`, expected a string",
                "integer `5` is not allowed here",
                Some("write a text in quotes"),
            ),
            ("duplicate key", "duplicate key", None),
        ] {
            assert_eq!(
                reword(message),
                (reason.to_string(), remedy.map(str::to_string)),
                "{message}"
            );
        }
    }
}
