//! What must hold for any bytes at all. The fuzzers call these, and so does the corpus test.

use tapway_bgp_wire::{
    Attributes, DecodeContext, EncodeContext, Frame, MAX_LEN, Message, NlriEntry, Notification,
    Open, PerFamily, RawAttributes, RouteRefresh, Update, UpdateBuilder,
};

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
