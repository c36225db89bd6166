//! The whole transition table, as text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

fn word(effect: &Effect) -> String {
    match effect {
        Effect::OpenTcp => "open-tcp".into(),
        Effect::CloseTcp => "close-tcp".into(),
        Effect::SendOpen => "send-open".into(),
        Effect::SendKeepalive => "send-keepalive".into(),
        Effect::SendNotification => "notify".into(),
        Effect::SendFsmError => "fsm-error".into(),
        Effect::Set(timer) => format!("set-{timer:?}"),
        Effect::SetLongHold => "set-long-hold".into(),
        Effect::ClearTimers => "clear-timers".into(),
        Effect::Up => "up".into(),
        Effect::Deliver => "deliver".into(),
    }
}

/// Per state a line for each outcome, with all events that have it.
fn table() -> String {
    let mut text = String::new();
    for state in State::ALL {
        text += &format!("{state}\n");
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for event in Event::ALL {
            let (next, effects) = step(state, event);
            let effects: Vec<String> = effects.iter().map(word).collect();
            let outcome = format!("{next}: {}", effects.join(" "));
            match lines.iter_mut().find(|(o, _)| *o == outcome) {
                Some((_, events)) => events.push(format!("{event:?}")),
                None => lines.push((outcome, [format!("{event:?}")].into())),
            }
        }
        for (outcome, events) in lines {
            text += &format!(
                "  {} -> {}\n",
                events.join(" "),
                outcome.trim_end().trim_end_matches(':')
            );
        }
    }
    text
}

#[test]
fn every_state_and_event() {
    let expected = include_str!("table.txt");
    let table = table();
    for (got, want) in table.lines().zip(expected.lines()) {
        assert_eq!(got, want);
    }
    assert_eq!(table.lines().count(), expected.lines().count(), "{table}");
}

#[test]
fn whatever_closes_leaves_no_session_timer() {
    for state in State::ALL {
        for event in Event::ALL {
            let (next, effects) = step(state, event);
            let closes = effects.contains(&Effect::CloseTcp);
            assert!(
                !state.connected() || next.connected() != closes,
                "{state} {event:?}"
            );
            if closes && next != State::Connect {
                let cleared = effects.iter().position(|e| *e == Effect::ClearTimers);
                let set = effects.iter().position(|e| matches!(e, Effect::Set(_)));
                assert!(
                    cleared.is_some() && set.is_none_or(|s| Some(s) > cleared),
                    "{state} {event:?}"
                );
            }
            assert_eq!(
                effects.contains(&Effect::Up),
                state != next && next == State::Established
            );
        }
    }
}
