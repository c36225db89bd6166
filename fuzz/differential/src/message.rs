//! An UPDATE as it is framed, read here a fifth time: what the differences are told by must not come from one of those that
//! are compared.

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) flags: u8,
    pub(crate) code: u8,
    pub(crate) value: &'a [u8],
}

/// The parts of an UPDATE.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) withdrawn: &'a [u8],
    pub(crate) attributes: Vec<Attribute<'a>>,
    /// The last attribute is longer than what holds it.
    pub(crate) cut: bool,
    pub(crate) nlri: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads what follows the header; `None` where the lengths do not agree.
    pub(crate) fn read(body: &'a [u8]) -> Option<Message<'a>> {
        let (withdrawn, rest) = field(body)?;
        let (attributes, nlri) = field(rest)?;
        let (attributes, cut) = read_attributes(attributes);
        Some(Message {
            withdrawn,
            attributes,
            cut,
            nlri,
        })
    }

    pub(crate) fn of(&self, code: u8) -> impl Iterator<Item = &Attribute<'a>> {
        self.attributes.iter().filter(move |a| a.code == code)
    }

    pub(crate) fn has(&self, code: u8) -> bool {
        self.of(code).next().is_some()
    }

    /// Whether any attribute comes twice.
    pub(crate) fn repeats(&self) -> bool {
        let mut codes: Vec<u8> = self.attributes.iter().map(|a| a.code).collect();
        codes.sort_unstable();
        codes.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// AFI and SAFI of the multiprotocol attributes.
    pub(crate) fn families(&self) -> impl Iterator<Item = [u8; 3]> {
        let multiprotocol = self.attributes.iter().filter(|a| matches!(a.code, 14 | 15));
        multiprotocol.filter_map(|a| a.value.first_chunk().copied())
    }
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

/// Attributes one after the other, and whether the last one is cut short.
pub(crate) fn read_attributes(mut bytes: &[u8]) -> (Vec<Attribute<'_>>, bool) {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let Some((attribute, rest)) = read_attribute(bytes) else {
            return (all, true);
        };
        all.push(attribute);
        bytes = rest;
    }
    (all, false)
}

fn read_attribute(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let [flags, code, rest @ ..] = bytes else {
        return None;
    };
    let (len, rest) = match (flags & 0x10, rest) {
        (0, [len, rest @ ..]) => (usize::from(*len), rest),
        (0x10, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]).into(), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    let attribute = Attribute {
        flags: *flags,
        code: *code,
        value,
    };
    Some((attribute, rest))
}
