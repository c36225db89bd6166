//! Shapes of values in the configuration that TOML and serde have no word for.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// `true`, `false`, or a table that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    /// On or off.
    Flag(bool),
    /// On, like this.
    Table(T),
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Switch::Flag(flag) => s.serialize_bool(*flag),
            Switch::Table(table) => table.serialize(s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Of<T> {
            type Value = Switch<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Switch::Flag(flag))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Switch::Table)
            }
        }
        d.deserialize_any(Of(PhantomData))
    }
}

/// A word, or a table that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<T> {
    /// A word.
    Word(String),
    /// More.
    Table(T),
}

impl<T: Serialize> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Word::Word(word) => s.serialize_str(word),
            Word::Table(table) => table.serialize(s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Of<T> {
            type Value = Word<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes or a table")
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                Ok(Word::Word(word.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Word::Table)
            }
        }
        d.deserialize_any(Of(PhantomData))
    }
}

/// A number or a word: `65000`, `"external"`, `"main"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberOrWord {
    /// A number.
    Number(i64),
    /// A word.
    Word(String),
}

impl Serialize for NumberOrWord {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            NumberOrWord::Number(number) => s.serialize_i64(*number),
            NumberOrWord::Word(word) => s.serialize_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for NumberOrWord {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl Visitor<'_> for Of {
            type Value = NumberOrWord;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a text in quotes")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(NumberOrWord::Number(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number)
                    .map(NumberOrWord::Number)
                    .map_err(|_| E::custom(format!("{number} is too large")))
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                Ok(NumberOrWord::Word(word.to_string()))
            }
        }
        d.deserialize_any(Of)
    }
}

/// One text or a list of them. Written back as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Texts(vec![text.to_string()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Texts)
            }
        }
        d.deserialize_any(Of)
    }
}

/// One whole number or a list of them. Written back as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Numbers(pub Vec<i64>);

impl Numbers {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a list of them")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Numbers(vec![number]))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number)
                    .map(|number| Numbers(vec![number]))
                    .map_err(|_| E::custom(format!("{number} is too large")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Numbers)
            }
        }
        d.deserialize_any(Of)
    }
}

/// A whole number, or a table that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count<T> {
    /// A number.
    Number(i64),
    /// More.
    Table(T),
}

impl<T: Serialize> Serialize for Count<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Count::Number(number) => s.serialize_i64(*number),
            Count::Table(table) => table.serialize(s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Count<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Of<T> {
            type Value = Count<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a table")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Count::Number(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number)
                    .map(Count::Number)
                    .map_err(|_| E::custom(format!("{number} is too large")))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Count::Table)
            }
        }
        d.deserialize_any(Of(PhantomData))
    }
}

/// The value of a key that is known but does nothing in this version: refused unless it says "off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// `false`: asks for nothing.
    Off,
    /// Anything else.
    On,
}

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = NotYet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<NotYet, E> {
                Ok(if flag { NotYet::On } else { NotYet::Off })
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<NotYet, E> {
                Ok(NotYet::On)
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<NotYet, E> {
                Ok(NotYet::On)
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<NotYet, E> {
                Ok(NotYet::On)
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<NotYet, E> {
                Ok(NotYet::On)
            }
            fn visit_unit<E: Error>(self) -> Result<NotYet, E> {
                Ok(NotYet::Off)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NotYet, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(NotYet::On)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NotYet, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(NotYet::On)
            }
        }
        d.deserialize_any(Of)
    }
}

/// A duration like `90s`, `300ms`, `2m` or `1h`.
///
/// # Errors
/// What is wrong, with the remedy.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a duration; write one like \"90s\", \"300ms\" or \"2m\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(wrong()),
    };
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

/// The shortest text for a duration, to the millisecond.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("90s", Some(90_000)),
            ("300ms", Some(300)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
            ("90", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("90 s", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
            ("", None),
        ] {
            let found = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(found, millis, "{text}");
            if let Ok(d) = duration(text) {
                assert_eq!(duration(&duration_text(d)), Ok(d), "{text}");
            }
        }
    }

    #[test]
    fn shapes() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct All {
            a: Switch<Texts2>,
            b: Word<Texts2>,
            c: NumberOrWord,
            d: Texts,
            e: NotYet,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Texts2 {
            x: u8,
        }
        let one: All =
            serde_json::from_str(r#"{"a": true, "b": "w", "c": 5, "d": "t", "e": false}"#).unwrap();
        assert_eq!(
            one,
            All {
                a: Switch::Flag(true),
                b: Word::Word("w".into()),
                c: NumberOrWord::Number(5),
                d: Texts(vec!["t".into()]),
                e: NotYet::Off,
            }
        );
        let two: All = serde_json::from_str(
            r#"{"a": {"x": 1}, "b": {"x": 2}, "c": "w", "d": ["t", "u"], "e": {"y": [1, {}]}}"#,
        )
        .unwrap();
        assert_eq!(
            two,
            All {
                a: Switch::Table(Texts2 { x: 1 }),
                b: Word::Table(Texts2 { x: 2 }),
                c: NumberOrWord::Word("w".into()),
                d: Texts(vec!["t".into(), "u".into()]),
                e: NotYet::On,
            }
        );
        let error = serde_json::from_str::<Switch<Texts2>>("{\"y\": 1}").unwrap_err();
        assert!(error.to_string().contains("unknown field `y`"), "{error}");
    }
}
