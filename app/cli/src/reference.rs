//! The reference in `docs/reference`, generated from what the program is made of, so that it cannot
//! drift. `UPDATE_GOLDEN=1 cargo test -p tapway-cli` writes it anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};
use tapway_api::endpoint;

use crate::args::Args;
use crate::render::tests::golden;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name)
}

#[test]
fn cli() {
    let mut command = Args::command();
    command.build();
    let mut out = String::from(
        "# Command line\n\n<!-- Generated from app/cli/src/args.rs by `UPDATE_GOLDEN=1 cargo test -p tapway-cli`. -->\n\n",
    );
    write!(
        out,
        "{}\n\n{}\n\n",
        sentence(text(command.get_about())),
        text(command.get_after_help())
    )
    .unwrap();
    out.push_str("These options are understood by every command:\n\n");
    for arg in command.get_arguments().filter(|a| a.is_global_set()) {
        option(&mut out, arg);
    }
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        section(&mut out, sub, "tapway");
    }
    golden(&page("cli.md"), &out);
}

fn section(out: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let subs: Vec<&Command> = command
        .get_subcommands()
        .filter(|c| c.get_name() != "help")
        .collect();
    let level = if parent == "tapway" { "##" } else { "###" };
    write!(
        out,
        "\n{level} {name}\n\n{}\n",
        sentence(text(command.get_about()))
    )
    .unwrap();
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        writeln!(out, "\nAlso: `{parent} {}`.", aliases.join("`, `")).unwrap();
    }
    if subs.is_empty() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        write!(out, "\n```\n{usage}\n```\n").unwrap();
    }
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_global_set() && a.get_id() != "help")
        .collect();
    if !own.is_empty() {
        out.push('\n');
        own.into_iter().for_each(|arg| option(out, arg));
    }
    for sub in subs {
        section(out, sub, &name);
    }
}

fn option(out: &mut String, arg: &Arg) {
    let value = arg
        .get_value_names()
        .and_then(|names| names.first())
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut forms: Vec<String> = Vec::new();
    forms.extend(arg.get_short().map(|c| format!("-{c}")));
    forms.extend(arg.get_long().map(|l| format!("--{l}")));
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let shown = match (forms.is_empty(), takes_value) {
        (true, _) => value,
        (false, true) => format!("{} {value}", forms.join(", ")),
        (false, false) => forms.join(", "),
    };
    let mut notes: Vec<String> = Vec::new();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|v| format!("`{}`", v.get_name()))
        .collect();
    if takes_value && !choices.is_empty() {
        notes.push(format!("One of {}.", choices.join(", ")));
    }
    if let Some(default) = arg.get_default_values().first().filter(|_| takes_value) {
        notes.push(format!("Default: `{}`.", default.display()));
    }
    if let Some(variable) = arg.get_env() {
        notes.push(format!("Environment: `{}`.", variable.display()));
    }
    let mut help = sentence(text(arg.get_help()));
    for note in notes {
        help.push(' ');
        help.push_str(&note);
    }
    writeln!(out, "- `{shown}`: {help}").unwrap();
}

/// clap takes the full stop away; here it is needed.
fn sentence(mut text: String) -> String {
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

fn text(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// Examples of answers: the same that the renderings are tested with.
const EXAMPLES: &[(&str, &str)] = &[
    ("Status", include_str!("../testdata/status.json")),
    (
        "List<Instance>",
        include_str!("../testdata/instance-list.json"),
    ),
    (
        "List<InstanceDetail>",
        include_str!("../testdata/instance-show.json"),
    ),
    ("List<Peer>", include_str!("../testdata/peer-list.json")),
    ("PeerDetail", include_str!("../testdata/peer-show.json")),
    ("List<Policy>", include_str!("../testdata/policy-list.json")),
    ("Policy", include_str!("../testdata/policy-show.json")),
    ("PolicyTested", include_str!("../testdata/policy-test.json")),
    ("List<Route>", include_str!("../testdata/route-list.json")),
    (
        "List<RpkiCache>",
        include_str!("../testdata/rpki-caches.json"),
    ),
    ("List<Collector>", include_str!("../testdata/bmp-list.json")),
    ("Collector", include_str!("../testdata/bmp-show.json")),
    ("RpkiAnswer", include_str!("../testdata/rpki-state.json")),
    (
        "List<Announcement>",
        include_str!("../testdata/announcement-list.json"),
    ),
    (
        "List<Conflict>",
        include_str!("../testdata/conflict-list.json"),
    ),
    (
        "List<Problem>",
        include_str!("../testdata/problem-list.json"),
    ),
    ("List<Source>", include_str!("../testdata/source-list.json")),
    (
        "List<KernelObject>",
        include_str!("../testdata/kernel-list.json"),
    ),
    ("Plan", include_str!("../testdata/plan.json")),
    (
        "Explanation",
        include_str!("../testdata/explain-broken.json"),
    ),
    ("Diagnosis", include_str!("../testdata/doctor.json")),
    (
        "Configuration",
        include_str!("../testdata/config-show.json"),
    ),
    ("Checked", include_str!("../testdata/config-check.json")),
    ("Applied", include_str!("../testdata/applied.json")),
    ("Done", include_str!("../testdata/done.json")),
    ("stream of Event", include_str!("../testdata/event.json")),
];

#[test]
fn api() {
    let mut out = String::from(API_INTRODUCTION);
    out.push_str("| | route | query | body | answer | |\n|---|---|---|---|---|---|\n");
    for e in endpoint::ALL {
        let code = |t: &str| {
            if t.is_empty() {
                String::new()
            } else {
                format!("`{t}`")
            }
        };
        writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {} |",
            e.method,
            e.path,
            code(e.query),
            code(e.body),
            code(e.answer),
            e.summary
        )
        .unwrap();
    }
    for e in endpoint::ALL {
        assert!(
            EXAMPLES.iter().any(|(name, _)| *name == e.answer),
            "no example of {}",
            e.answer
        );
    }
    out.push_str("\n## Examples of answers\n");
    for (name, json) in EXAMPLES {
        assert!(
            endpoint::ALL.iter().any(|e| e.answer == *name),
            "no route answers with {name}"
        );
        write!(out, "\n### {name}\n\n```json\n{json}```\n").unwrap();
    }
    golden(&page("api.md"), &out);
}

const API_INTRODUCTION: &str = r#"# HTTP API

<!-- Generated from app/api/src/endpoint.rs by `UPDATE_GOLDEN=1 cargo test -p tapway-cli`. -->

HTTP/1.1 with JSON over the Unix socket of the daemon, `/run/tapway/tapway.sock` by default (mode 0660).
`tapway -o json` prints these answers unchanged. With `[api] http = "127.0.0.1:9179"` the `GET` routes
are served over TCP as well; everything else is refused there.

    curl --unix-socket /run/tapway/tapway.sock http://tapway/v1/status
    curl --unix-socket /run/tapway/tapway.sock http://tapway/v1/instances/web1 -X PUT \
      -d '{"name": "web1", "nic": [{"interface": "tap0", "addresses": ["203.0.113.1"]}]}'

The fields of each type, with their units, are described where the type is: `app/api/src`, one file for
each noun (`cargo doc -p tapway-api --open`). A key without a value is left out. Unknown keys in a request are
errors; unknown keys in an answer are to be ignored, since later versions may add some.

- A body is JSON of at most 4 MiB. `InstanceBody` is what an instance file holds; `PeerBody` and `PolicyBody`
  have the keys of `[peer.NAME]` and `[policy.NAME]`; `PolicyTest` has those of `app/api/src/policy.rs`.
- A write is answered when it is on disk. The network does not wait for that.
- `{name}` is percent-encoded.
- Long lists come in pages: `limit` (1000 by default, at most 10000) and `offset`; `total` counts all.
- One connection takes any number of requests. It is closed after 60 s without one.

## Errors

An answer with a status of 400 or more has this body. `place` and `remedy` are there when they are known.

```json
{"error": {"code": "invalid", "message": "01:00:5e:00:00:01 is a multicast MAC address and cannot belong to a NIC; the first byte must be even",
           "place": {"key": "nic[0].mac"}, "remedy": "…"}}
```

| status | `code` | |
|---|---|---|
| 400 | `malformed` | The body is not JSON or does not fit, or the query or a name in the path is wrong. |
| 403 | `read-only` | Writing over TCP. |
| 404 | `not-found`, `no-such-route` | No such object; no such route. |
| 405 | `method-not-allowed` | The `Allow` header says what is. |
| 408 | `slow-request` | The body did not arrive within 10 s. |
| 409 | `conflict` | The configuration file or another source defines the object. |
| 413 | `too-large` | The body is larger than 4 MiB. |
| 422 | `invalid` | A value is wrong; `place.key` says which. |
| 500 | `internal` | The disk, the kernel, or a bug. |
| 503 | `overloaded` | Too many requests wait; try again after `Retry-After`. |
| 503 | `deadline` | No answer within 5 s; a write may still take effect. |
| 503 | `stopping` | The daemon is ending. |

## Events

`GET /v1/events` answers with one JSON object per line, without end, from now on. A watcher that is too slow
does not hold anybody up: it loses events, and a line of kind `watch.lost` tells how many. At most 32 watch.

## Routes

"#;
