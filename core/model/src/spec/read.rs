//! Values that may be written in two ways. Read by what they look like, so that a wrong one is told by its
//! key instead of as fitting neither way.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::TransparentSpec;

/// The longer way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    address: String,
    to: String,
}

impl<'de> Deserialize<'de> for TransparentSpec {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TransparentSpec;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address in quotes, or { address = \"...\", to = \"...\" }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TransparentSpec::Address(text.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let To { address, to } = To::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TransparentSpec::To { address, to })
            }
        }
        d.deserialize_any(Either)
    }
}
