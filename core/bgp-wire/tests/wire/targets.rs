//! What must hold for any bytes at all. The fuzzers call these, and so does the corpus test.

use tapway_bgp_wire::{
    AttributeCode, Attributes, Capabilities, DecodeContext, EncodeContext, Frame, MAX_LEN, Message,
    NlriEntry, Notification, Open, PerFamily, RawAttributes, RouteRefresh, Update, UpdateBuilder,
};
use tapway_model::Family;

/// A context out of one byte, so that the fuzzer reaches all of them.
pub(crate) fn context(bits: u8) -> DecodeContext {
    let bit = |n: u8| bits & 1 << n != 0;
    DecodeContext {
        four_octet_asn: !bit(0),
        extended_message: bit(1),
        internal: bit(2),
        families: PerFamily {
            ipv4: !bit(3),
            ipv6: !bit(4),
        },
        add_path: PerFamily {
            ipv4: bit(5),
            ipv6: bit(6),
        },
        extended_next_hop: bit(7),
        first_as: (bit(3) && bit(5)).then_some(65001),
    }
}

/// A context byte and a stream of messages.
pub(crate) fn message(data: &[u8]) {
    let Some((&bits, mut stream)) = data.split_first() else {
        return;
    };
    let cx = context(bits);
    while let Ok(Some((len, frame))) = Frame::next(stream, cx.max_len()) {
        assert_eq!(frame.bytes().len(), len);
        match frame.decode(&cx) {
            Ok(Message::Open(value)) => open_again(&value),
            Ok(Message::Update(value)) => update_again(&value, &cx),
            Ok(Message::Notification(value)) => notification_again(&value),
            Ok(Message::RouteRefresh(value)) => refresh_again(value),
            Ok(Message::Keepalive) => assert_eq!(len, 19),
            Err(error) => notification_again(&Notification::from(error)),
        }
        stream = &stream[len..];
    }
}

/// The body of an OPEN.
pub(crate) fn open(data: &[u8]) {
    match Open::decode(data) {
        Ok(value) => open_again(&value),
        Err(error) => assert_eq!(error.code.code, 2),
    }
}

/// A context byte and the body of an UPDATE.
pub(crate) fn update(data: &[u8]) {
    let Some((&bits, body)) = data.split_first() else {
        return;
    };
    let cx = context(bits);
    match Update::decode(body, &cx) {
        Ok(value) => update_again(&value, &cx),
        Err(error) => assert_eq!(error.code.code, 3),
    }
}

/// Capabilities, one after the other: however they are spread over the parameters of an OPEN, they say the same.
pub(crate) fn capabilities(data: &[u8]) {
    let fixed = [4, 0x5b, 0xa0, 0, 90, 192, 0, 2, 1];
    let Ok(len) = u16::try_from(data.len()) else {
        return;
    };
    let [high, low] = len.to_be_bytes();
    let parameters = len.saturating_add(3).to_be_bytes();
    let extended = [&fixed[..], &[255, 255], &parameters, &[2, high, low], data].concat();
    let open = Open::decode(&extended);
    if let Ok(short @ ..=253) = u8::try_from(data.len()) {
        let plain = [&fixed[..], &[short + 2, 2, short], data].concat();
        assert_eq!(Open::decode(&plain), open);
    }
    let open = match open {
        Ok(open) => open,
        Err(error) => return assert_eq!(error.code.code, 2),
    };
    let mut each = vec![255, 255, 0, 0];
    let mut rest = data;
    while let [_, len, after @ ..] = rest {
        let len = usize::from(*len) + 2;
        each.extend([2, 0, len as u8]);
        if len > 255 {
            *each.last_chunk_mut().expect("two octets") = (len as u16).to_be_bytes();
        }
        each.extend(&rest[..len]);
        rest = &after[len - 2..];
    }
    let parameters = (each.len() - 4) as u16;
    each[2..4].copy_from_slice(&parameters.to_be_bytes());
    let spread = [&fixed[..], &each].concat();
    assert_eq!(Open::decode(&spread).as_ref(), Ok(&open));
    open_again(&open);
    agreed(&open.capabilities);
}

/// What one side may send, the other must be ready to read.
fn agreed(theirs: &Capabilities) {
    let half = Capabilities(theirs.iter().step_by(2).cloned().collect());
    for ours in [theirs, &half, &Capabilities::default()] {
        let read = DecodeContext::negotiated(ours, theirs, false);
        let write = EncodeContext::negotiated(theirs, ours);
        assert_eq!(read.four_octet_asn, write.four_octet_asn);
        assert_eq!(read.max_len(), write.max_len);
        assert_eq!(read.add_path, write.add_path);
        for family in Family::ALL {
            let both = ours.multi_protocol(family) && theirs.multi_protocol(family);
            assert_eq!(read.families[family], both);
        }
    }
}

/// A context byte and the attributes of an UPDATE, which has two prefixes beside them, and then none.
pub(crate) fn attributes(data: &[u8]) {
    let Some((&bits, attributes)) = data.split_first() else {
        return;
    };
    let cx = context(bits);
    let Ok(len) = u16::try_from(attributes.len()) else {
        return;
    };
    let nlri: &[u8] = match cx.add_path.ipv4 {
        true => &[0, 0, 0, 1, 24, 198, 51, 100, 0, 0, 0, 2, 0],
        false => &[24, 198, 51, 100, 0],
    };
    let bare = [&[0, 0], &len.to_be_bytes()[..], attributes].concat();
    let body = [&bare, nlri].concat();
    let alone = Update::decode(&bare, &cx);
    let update = match Update::decode(&body, &cx) {
        Ok(update) => update,
        Err(error) => {
            assert_eq!(error.code.code, 3);
            assert_eq!(alone, Err(error), "what resets does so with and without");
            return;
        }
    };
    match &alone {
        Ok(alone) => assert!(!alone.treated_as_withdraw() || alone.reach().next().is_none()),
        Err(_) => assert!(update.treated_as_withdraw(), "RFC 7606 §5.2"),
    }
    nothing_is_lost(&update, &cx);
    kept_attributes(&update, attributes, nlri, &cx);
}

/// The two prefixes are reachable or not, never both and never neither.
fn nothing_is_lost(update: &Update<'_>, cx: &DecodeContext) {
    let two = |nlri: Vec<NlriEntry>| {
        nlri.iter()
            .filter(|e| matches!(e.prefix.len(), 0 | 24))
            .count()
    };
    let classic = |family: Family| family == Family::Ipv4;
    let of_reach = update.reach().filter(|reach| classic(reach.nlri.family()));
    let reach = two(of_reach.flat_map(|reach| reach.nlri.iter()).collect());
    let of_unreach = update.unreach().filter(|nlri| classic(nlri.family()));
    let unreach = two(of_unreach.flat_map(|nlri| nlri.iter()).collect());
    match (cx.families.ipv4, update.treated_as_withdraw()) {
        (false, _) => assert!(update.ignored().next().is_some()),
        (true, true) => assert!(unreach >= 2, "{update:?}"),
        (true, false) => assert!(reach >= 2, "{update:?}"),
    }
    if update.treated_as_withdraw() {
        assert_eq!(update.reach().next(), None);
        assert!(update.attributes().is_empty());
    }
}

/// What is kept is a block that is right in itself: read again it has no fault, and stays as it is.
fn kept_attributes(update: &Update<'_>, came: &[u8], nlri: &[u8], cx: &DecodeContext) {
    let raw = update.attributes();
    let mut codes: Vec<AttributeCode> = raw.iter().map(|a| a.code).collect();
    let headers = raw
        .iter()
        .map(|a| 3 + usize::from(a.flags.extended_length()));
    let len = headers.sum::<usize>() + raw.iter().map(|a| a.value.len()).sum::<usize>();
    assert_eq!(raw.bytes().len(), len, "nothing is behind the last one");
    codes.sort();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "each once");
    for never in [14, 15, 17, 18] {
        assert!(!codes.contains(&AttributeCode(never)), "{never}");
    }
    if update.reach().next().is_none() || !cx.families.ipv4 {
        return;
    }
    if cx.four_octet_asn {
        for one in raw.iter() {
            // Repeated large communities are removed.
            let changed = one.value.is_empty() || one.code == AttributeCode::LARGE_COMMUNITIES;
            let mut all = came.windows(one.value.len().max(1));
            assert!(changed || all.any(|w| w == one.value), "bit for bit");
        }
    }
    // Wider AS numbers may make it longer than any message.
    let Ok(len) = u16::try_from(raw.bytes().len()) else {
        return;
    };
    let wide = DecodeContext {
        four_octet_asn: true,
        ..*cx
    };
    let body = [&[0, 0], &len.to_be_bytes()[..], raw.bytes(), nlri].concat();
    let again = Update::decode(&body, &wide).expect("our own block");
    assert_eq!(again.faults(), &[]);
    assert_eq!(again.attributes(), raw);
}

fn open_again(value: &Open) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    if bytes.len() > MAX_LEN {
        return;
    }
    let (len, frame) = Frame::next(&bytes, MAX_LEN)
        .expect("a good header")
        .expect("whole");
    assert_eq!(len, bytes.len());
    assert_eq!(Open::decode(frame.body()).as_ref(), Ok(value));
}

fn notification_again(value: &Notification) {
    assert!(!value.to_string().is_empty());
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    assert!(bytes.len() <= MAX_LEN);
    let again = Notification::decode(&bytes[19..]).expect("our own");
    assert_eq!(again.error, value.error);
    assert!(value.data.starts_with(&again.data));
}

fn refresh_again(value: RouteRefresh) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    assert_eq!(RouteRefresh::decode(&bytes[19..]), Ok(value));
}

/// What a decoded UPDATE says must survive being sent on.
fn update_again(value: &Update<'_>, cx: &DecodeContext) {
    for nlri in value.unreach() {
        let entries: Vec<NlriEntry> = nlri.iter().collect();
        let sent = announced_or_withdrawn(cx, |builder| {
            builder.withdraw(entries.iter().copied());
        });
        assert_eq!(collect(&sent, cx).1, entries);
    }
    let attributes = value.attributes().decode();
    if value.reach().next().is_none() {
        assert_eq!(attributes, Attributes::default());
        return;
    }
    let mut block = Vec::new();
    attributes.encode(true, &mut block);
    let passed_on = settled(attributes.clone());
    assert_eq!(RawAttributes::new(&block).decode(), passed_on);
    for reach in value.reach() {
        let entries: Vec<NlriEntry> = reach.nlri.iter().collect();
        let sent = announced_or_withdrawn(cx, |builder| {
            // Attributes that only fit because they were shorter on the way in are refused whole.
            if builder
                .announce(&attributes, reach.next_hop, entries.iter().copied())
                .is_err()
            {
                builder.withdraw(core::iter::empty::<NlriEntry>());
            }
        });
        if sent.is_empty() {
            continue;
        }
        assert_eq!(collect(&sent, cx).0, entries);
    }
}

/// As it is after being sent: unknown attributes are partial.
fn settled(mut attributes: Attributes) -> Attributes {
    for unknown in &mut attributes.unknown {
        unknown.flags.0 |= 0x20;
        if unknown.value.len() > 255 {
            unknown.flags.0 |= 0x10;
        }
    }
    attributes
}

fn announced_or_withdrawn(cx: &DecodeContext, run: impl FnOnce(&mut UpdateBuilder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let cx = EncodeContext {
        four_octet_asn: cx.four_octet_asn,
        max_len: cx.max_len(),
        add_path: cx.add_path,
    };
    run(&mut UpdateBuilder::new(&mut out, cx));
    out
}

/// All reachable and all unreachable prefixes of a stream of our own.
fn collect(mut stream: &[u8], cx: &DecodeContext) -> (Vec<NlriEntry>, Vec<NlriEntry>) {
    let cx = DecodeContext {
        first_as: None,
        internal: true,
        extended_next_hop: true,
        ..*cx
    };
    let (mut reach, mut unreach) = (Vec::new(), Vec::new());
    while let Some((len, frame)) = Frame::next(stream, cx.max_len()).expect("our own header") {
        let Ok(Message::Update(update)) = frame.decode(&cx) else {
            panic!("our own UPDATE is not understood");
        };
        assert_eq!(update.faults(), &[]);
        reach.extend(update.reach().flat_map(|reach| reach.nlri.iter()));
        unreach.extend(update.unreach().flat_map(|nlri| nlri.iter()));
        stream = &stream[len..];
    }
    assert!(stream.is_empty());
    (reach, unreach)
}
