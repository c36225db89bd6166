//! A text read section by section, so that one broken section does not hide what is wrong in the
//! others.

use serde::de::DeserializeOwned;
use tapway_model::spec::SpecError;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::message::reword;
use crate::parse::placed;
use crate::place::{line_and_column, span_of};
use crate::problem::Problem;

/// A TOML text whose top-level keys are taken one after the other.
#[derive(Debug)]
pub struct Sections<'t> {
    file: &'t str,
    text: &'t str,
    root: DeTable<'t>,
    known: Vec<String>,
}

/// Tables `[key.NAME]` with their names, each as it could be read.
pub type Named<T> = Vec<(String, Result<T, Problem>)>;

impl<'t> Sections<'t> {
    /// Reads a text. `file` is its name in problems.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn parse(file: &'t str, text: &'t str) -> Result<Sections<'t>, Problem> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Sections {
                file,
                text,
                root: root.into_inner(),
                known: Vec::new(),
            }),
            Err(error) => Err(placed(file, text, &error, "")),
        }
    }

    /// The value of a top-level key; `None` when it is not there.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Problem> {
        self.known.push(key.to_string());
        match remove(&mut self.root, key) {
            Some(value) => self.read(value, key).map(Some),
            None => Ok(None),
        }
    }

    /// The tables `[key.NAME]`, in order of the names, each as it could be read.
    ///
    /// # Errors
    /// When `key` is not a table.
    pub fn take_named<T: DeserializeOwned>(&mut self, key: &str) -> Result<Named<T>, Problem> {
        self.known.push(key.to_string());
        let Some(value) = remove(&mut self.root, key) else {
            return Ok(Vec::new());
        };
        let place = line_and_column(self.text, value.span().start);
        let DeValue::Table(table) = value.into_inner() else {
            return Err(Problem::new(self.file, "is not a table")
                .with_remedy(format!("write [{key}.NAME]"))
                .key(key)
                .at(place));
        };
        Ok(table
            .into_iter()
            .map(|(name, value)| {
                let name = name.into_inner().into_owned();
                let path = format!("{key}.{name}");
                (name, self.read(value, &path))
            })
            .collect())
    }

    fn read<T: DeserializeOwned>(
        &self,
        value: Spanned<DeValue<'t>>,
        path: &str,
    ) -> Result<T, Problem> {
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|error| placed(self.file, self.text, &error, path))
    }

    /// A wrong value as a problem with its place.
    pub fn problem(&self, error: &SpecError) -> Problem {
        let problem = Problem::new(self.file, &error.reason).key(&error.key);
        let span = DeTable::parse(self.text)
            .ok()
            .and_then(|root| span_of(root.get_ref(), &error.key));
        match span {
            Some(span) => problem.at(line_and_column(self.text, span.start)),
            None => problem,
        }
    }

    /// What nobody took: unknown keys.
    pub fn rest(&self) -> Vec<Problem> {
        let known: Vec<String> = self.known.iter().map(|k| format!("`{k}`")).collect();
        let left = self.root.iter().map(|(key, _)| {
            let sentence = format!(
                "unknown field `{}`, expected one of {}",
                key.get_ref(),
                known.join(", ")
            );
            let (reason, remedy) = reword(&sentence);
            let mut problem = Problem::new(self.file, reason)
                .key(key.get_ref().as_ref())
                .at(line_and_column(self.text, key.span().start));
            problem.remedy = remedy;
            problem
        });
        left.collect()
    }
}

fn remove<'t>(table: &mut DeTable<'t>, key: &str) -> Option<Spanned<DeValue<'t>>> {
    let mut found = None;
    let all = std::mem::take(table);
    for (name, value) in all {
        if name.get_ref() == key {
            found = Some(value);
        } else {
            table.insert(name, value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Peer {
        asn: u32,
    }

    #[test]
    fn every_section_speaks_for_itself() {
        let text = "[router]\nasn = 'x'\n[peer.a]\nasm = 5\n[peer.b]\nasn = 5\n[peer.'c.d']\n[pear.d]\nasn = 6\n";
        let mut sections = Sections::parse("f", text).unwrap();
        let router = sections.take::<Peer>("router").unwrap_err();
        assert_eq!(
            router.to_string(),
            "f:2:7: router.asn: string \"x\" is not allowed here; write a whole number"
        );
        assert!(sections.take::<Peer>("api").unwrap().is_none());
        let peers = sections.take_named::<Peer>("peer").unwrap();
        let shown: Vec<String> = peers
            .iter()
            .map(|(name, peer)| match peer {
                Ok(peer) => format!("{name} {}", peer.asn),
                Err(problem) => problem.to_string(),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "f:4:1: peer.a.asm: there is no key \"asm\" here; did you mean asn?",
                "b 5",
                "f:7:1: peer.c.d: the key \"asn\" is missing; add asn = …",
            ]
        );
        let rest = sections.rest();
        assert_eq!(rest.len(), 1);
        assert_eq!(
            rest[0].to_string(),
            "f:8:2: pear: there is no key \"pear\" here; did you mean peer?"
        );
        let error = SpecError {
            key: "peer.b.asn".into(),
            reason: "is mine".into(),
        };
        assert_eq!(
            sections.problem(&error).to_string(),
            "f:6:7: peer.b.asn: is mine"
        );
    }

    #[test]
    fn a_section_that_is_no_table() {
        let mut sections = Sections::parse("f", "peer = 5").unwrap();
        let problem = sections.take_named::<Peer>("peer").unwrap_err();
        assert_eq!(
            problem.to_string(),
            "f:1:8: peer: is not a table; write [peer.NAME]"
        );
        assert!(Sections::parse("f", "a = ").is_err());
    }
}
