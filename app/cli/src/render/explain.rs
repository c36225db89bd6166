//! `tapway explain`: the chain, link by link.

use tapway_api::explain::{Explanation, Link, LinkState, Stage};

use super::remedy;
use crate::style::{Style, Tone};

pub(crate) fn render(explanation: &Explanation, style: Style) -> String {
    let mut title = explanation.prefix.to_string();
    if let Some(covering) = explanation.covered_by {
        title.push_str(&format!(", part of {covering}"));
    }
    if let Some(network) = &explanation.network {
        title.push_str(&format!(", network {network}"));
    }
    let broken = explanation
        .first_broken
        .and_then(|i| explanation.links.get(i));
    let tone = if broken.is_some() {
        Tone::Bad
    } else {
        Tone::Good
    };
    let mut out = format!(
        "{}: {}\n\n",
        style.paint(Tone::Strong, &title),
        style.paint(tone, &explanation.verdict)
    );
    let names: Vec<String> = explanation.links.iter().map(name).collect();
    let column = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (i, (link, name)) in explanation.links.iter().zip(&names).enumerate() {
        out.push_str(&render_link(link, name, column, style));
        // That of the first broken link stands at the end.
        if explanation.first_broken != Some(i)
            && let Some(text) = &link.remedy
        {
            out.push_str(&remedy(&" ".repeat(column + 6), text, style));
        }
    }
    if let Some(link) = broken {
        out.push_str(&format!(
            "\nThe first broken link is the {}: {}\n",
            style.paint(Tone::Bad, &name(link)),
            link.summary
        ));
        if let Some(text) = &link.remedy {
            out.push_str(&remedy("", text, style));
        }
    }
    out
}

fn render_link(link: &Link, name: &str, column: usize, style: Style) -> String {
    let (mark, tone) = match link.state {
        LinkState::Ok => ("✓", Tone::Good),
        LinkState::Broken => ("✗", Tone::Bad),
        LinkState::Warning => ("!", Tone::Warn),
        LinkState::NotApplicable | LinkState::Skipped => ("-", Tone::Dim),
    };
    let text_tone = if tone == Tone::Dim {
        Tone::Dim
    } else {
        Tone::Plain
    };
    let mut out = format!(
        "  {} {}  {}\n",
        style.paint(tone, mark),
        style.paint(text_tone, &format!("{name:<column$}")),
        style.paint(text_tone, &link.summary)
    );
    let indent = " ".repeat(column + 6);
    for line in &link.detail {
        out.push_str(&format!("{indent}{}\n", style.paint(Tone::Dim, line)));
    }
    out
}

fn name(link: &Link) -> String {
    let stage = match link.stage {
        Stage::Claim => "claim",
        Stage::Conflict => "conflict",
        Stage::Interface => "interface",
        Stage::KernelRoute => "kernel route",
        Stage::Neighbour => "neighbour",
        Stage::Announcement => "announcement",
        Stage::Peer => "peer",
    };
    match &link.peer {
        Some(peer) => format!("{stage} {peer}"),
        None => stage.to_owned(),
    }
}
