//! AS_PATH as text: `65000 64512 {1 2}`, as it is displayed.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use super::{AsPath, AsSegment, SegmentKind};

/// A text is no AS_PATH.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no AS path; write AS numbers, nearest first, and sets in braces: \"65000 64512 {{1 2}}\""
)]
pub struct AsPathTextError(String);

impl FromStr for AsPath {
    type Err = AsPathTextError;

    fn from_str(text: &str) -> Result<AsPath, AsPathTextError> {
        let wrong = || AsPathTextError(text.to_string());
        let mut path = AsPath::default();
        let mut rest = text.trim_ascii();
        while let Some(first) = rest.chars().next() {
            let (kind, close) = match first {
                '{' => (SegmentKind::Set, Some('}')),
                '(' => (SegmentKind::ConfedSequence, Some(')')),
                '[' => (SegmentKind::ConfedSet, Some(']')),
                _ => (SegmentKind::Sequence, None),
            };
            let (numbers, after) = match close {
                Some(close) => rest
                    .get(1..)
                    .and_then(|r| r.split_once(close))
                    .ok_or_else(wrong)?,
                None => rest.split_at(rest.find(['{', '(', '[']).unwrap_or(rest.len())),
            };
            let asns = numbers
                .split([' ', ','])
                .filter(|word| !word.is_empty())
                .map(|word| word.parse::<u32>().ok().filter(|asn| *asn > 0))
                .collect::<Option<Vec<u32>>>()
                .filter(|asns| !asns.is_empty())
                .ok_or_else(wrong)?;
            path.segments.push(AsSegment { kind, asns });
            rest = after.trim_ascii_start();
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read() {
        for text in [
            "",
            "65000",
            "65000 64512 {1 2}",
            "{1} 2",
            "(1 2) [3 4] 5 6",
            "1 {2} {3} 4",
        ] {
            assert_eq!(text.parse::<AsPath>().unwrap().to_string(), text);
        }
        let spaced = " 65000  {1,2} ".parse::<AsPath>().unwrap();
        assert_eq!(spaced.to_string(), "65000 {1 2}");
        for text in [
            "x",
            "{1",
            "1}",
            "0",
            "{}",
            "-1",
            "4294967296",
            "1 {2 {3}}",
            "ä",
        ] {
            let error = text.parse::<AsPath>().unwrap_err().to_string();
            assert!(error.contains("is no AS path; write AS numbers"), "{error}");
            assert!(error.ends_with("{1 2}\""), "{error}");
        }
    }
}
