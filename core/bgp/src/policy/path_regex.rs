//! Regular expressions over an AS_PATH as text: `65000 64512 {1 2}`.
//!
//! They are what operators know from IOS, FRR and GoBGP: the text is searched, not compared as a whole,
//! and `_` is the beginning, the end, or one of ` ,{}()[]`. An expression becomes a deterministic
//! automaton when it is read; the path goes through it byte by byte, without a text being made of it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use tapway_bgp_wire::{AsPathRef, SegmentKind};

/// Bytes that an automaton may have, and those that it takes to make it: some thousand states, in some
/// milliseconds.
const SIZE_LIMIT: usize = 1 << 18;

/// What `_` stands for.
const DELIMITER: &str = r"(?:^|[ ,{}()\[\]]|$)";

type Dfa = dense::DFA<alloc::vec::Vec<u32>>;

/// An expression, ready for use. Cheap to clone; equal when written alike.
#[derive(Clone)]
pub struct PathRegex(Arc<Inner>);

struct Inner {
    written: String,
    automaton: Dfa,
    start: StateID,
}

impl PathRegex {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, with the remedy.
    pub fn new(written: &str) -> Result<PathRegex, String> {
        let text = translate(written)?;
        let automaton = automaton(&text).map_err(|reason| wrong(written, &reason))?;
        let start = automaton
            .start_state(&start::Config::new().anchored(Anchored::No))
            .map_err(|error| wrong(written, &error.to_string()))?;
        Ok(PathRegex(Arc::new(Inner {
            written: written.to_string(),
            automaton,
            start,
        })))
    }

    /// The expression as written.
    pub fn written(&self) -> &str {
        &self.0.written
    }

    /// Whether it is found in the text of a path.
    pub fn fits(&self, path: AsPathRef<'_>) -> bool {
        let mut search = Search {
            automaton: &self.0.automaton,
            state: self.0.start,
            done: None,
        };
        search.path(path);
        search.finish()
    }
}

impl PartialEq for PathRegex {
    fn eq(&self, other: &PathRegex) -> bool {
        self.0.written == other.0.written
    }
}

impl Eq for PathRegex {}

impl fmt::Debug for PathRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.written.fmt(f)
    }
}

/// An automaton on its way through a text.
struct Search<'a> {
    automaton: &'a Dfa,
    state: StateID,
    done: Option<bool>,
}

impl Search<'_> {
    /// The text of a path, as `AsPath` is displayed.
    fn path(&mut self, path: AsPathRef<'_>) {
        for (i, (kind, asns)) in path.segments().enumerate() {
            let (open, close): (&[u8], &[u8]) = match kind {
                SegmentKind::Sequence => (b"", b""),
                SegmentKind::Set => (b"{", b"}"),
                SegmentKind::ConfedSequence => (b"(", b")"),
                SegmentKind::ConfedSet => (b"[", b"]"),
            };
            if i > 0 {
                self.bytes(b" ");
            }
            self.bytes(open);
            for (i, asn) in asns.enumerate() {
                if i > 0 {
                    self.bytes(b" ");
                }
                self.number(asn);
                if self.done.is_some() {
                    return;
                }
            }
            self.bytes(close);
        }
    }

    fn number(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.bytes(&digits[at..]);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.done.is_some() {
                return;
            }
            self.state = self.automaton.next_state(self.state, *byte);
            if self.automaton.is_match_state(self.state) {
                self.done = Some(true);
            } else if self.automaton.is_dead_state(self.state) {
                self.done = Some(false);
            }
        }
    }

    /// Matches are told one step late, so that the end is a step of its own.
    fn finish(self) -> bool {
        self.done.unwrap_or_else(|| {
            let end = self.automaton.next_eoi_state(self.state);
            self.automaton.is_match_state(end)
        })
    }
}

/// Writes out what `_` stands for.
fn translate(written: &str) -> Result<String, String> {
    let mut text = String::with_capacity(written.len() + 16);
    let mut escaped = false;
    let mut class = false;
    for c in written.chars() {
        if !c.is_ascii() || c.is_ascii_control() {
            return Err(wrong(
                written,
                &alloc::format!("there is no {c:?} in an AS path"),
            ));
        }
        match c {
            '_' if class => {
                return Err(wrong(
                    written,
                    "_ cannot stand in [ ]; write the characters that are meant",
                ));
            }
            '_' if !escaped => text.push_str(DELIMITER),
            '_' => text.push('_'),
            _ => {
                if escaped {
                    text.push('\\');
                }
                if c != '\\' || escaped {
                    text.push(c);
                }
                if !escaped {
                    class = (class || c == '[') && c != ']';
                }
            }
        }
        escaped = c == '\\' && !escaped;
    }
    if escaped {
        text.push('\\');
    }
    Ok(text)
}

fn wrong(written: &str, reason: &str) -> String {
    alloc::format!(
        "{written:?} is no regular expression for AS paths: {reason}; write one like \"^65000_\" or \"_64512$\""
    )
}

/// Makes an automaton that finds an expression.
fn automaton(text: &str) -> Result<Dfa, String> {
    let plain = syntax::Config::new().unicode(false).utf8(false);
    // The parser draws the place above its reason.
    let parsed = syntax::parse_with(text, &plain).map_err(|error| {
        let drawn = error.to_string();
        drawn
            .rsplit("error: ")
            .next()
            .unwrap_or(&drawn)
            .trim()
            .to_string()
    })?;
    let too_large = "it is too large; make it shorter, or write several";
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(SIZE_LIMIT / 4)),
        )
        .build_from_hir(&parsed)
        .map_err(|_| too_large)?;
    let dense = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(SIZE_LIMIT))
        .determinize_size_limit(Some(SIZE_LIMIT));
    let built = dense::Builder::new().configure(dense).build_from_nfa(&nfa);
    Ok(built.map_err(|_| too_large)?)
}

#[cfg(test)]
mod tests;
