//! Who may link whom, and why.

/// Every crate, and the crates of this workspace that it may link. Tests may link more.
pub(super) const EDGES: &[(&str, &[&str])] = &[
    ("tapway-model", &[]),
    ("tapway-intent", &["tapway-model"]),
    ("tapway-bgp-wire", &["tapway-model"]),
    ("tapway-rib", &["tapway-bgp-wire", "tapway-model"]),
    ("tapway-rpki", &["tapway-model"]),
    (
        "tapway-bgp",
        &[
            "tapway-bgp-wire",
            "tapway-model",
            "tapway-rib",
            "tapway-rpki",
        ],
    ),
    (
        "tapway-bmp",
        &["tapway-bgp", "tapway-bgp-wire", "tapway-model"],
    ),
    (
        "tapway-mrt",
        &["tapway-bgp", "tapway-bgp-wire", "tapway-model"],
    ),
    ("tapway-fib", &["tapway-model"]),
    (
        "tapway-node",
        &[
            "tapway-bgp",
            "tapway-bgp-wire",
            "tapway-fib",
            "tapway-intent",
            "tapway-model",
        ],
    ),
    ("tapway-sys", &[]),
    ("tapway-document", &["tapway-model"]),
    (
        "tapway-netlink",
        &["tapway-fib", "tapway-model", "tapway-sys"],
    ),
    (
        "tapway-source-files",
        &[
            "tapway-document",
            "tapway-intent",
            "tapway-model",
            "tapway-sys",
        ],
    ),
    ("tapway-api", &["tapway-model"]),
    (
        "tapway-daemon",
        &[
            "tapway-api",
            "tapway-bgp",
            "tapway-bgp-wire",
            "tapway-bmp",
            "tapway-document",
            "tapway-fib",
            "tapway-intent",
            "tapway-model",
            "tapway-mrt",
            "tapway-netlink",
            "tapway-node",
            "tapway-rpki",
            "tapway-source-files",
            "tapway-sys",
        ],
    ),
    (
        "tapway-cli",
        &["tapway-api", "tapway-document", "tapway-model"],
    ),
    (
        "tapway-lab",
        &[
            "tapway-api",
            "tapway-bgp",
            "tapway-bgp-wire",
            "tapway-fib",
            "tapway-intent",
            "tapway-model",
            "tapway-node",
        ],
    ),
    ("xtask", &[]),
];

/// All that the core may link from outside.
pub(super) const CORE_MAY_LINK: &[&str] = &[
    "hashbrown",
    "regex-automata",
    "serde",
    "siphasher",
    "thiserror",
];

/// What somebody might reach for in the core, and why it is not there.
pub(super) const BARRED_FROM_CORE: &[(&[&str], &str)] = &[
    (
        &["tokio", "async-std", "smol", "futures"],
        "the core does not wait: it is called with what happened and the time",
    ),
    (
        &["chrono", "time", "jiff", "web-time"],
        "the core has no clock: time comes in as tapway_model::Instant",
    ),
    (
        &["rand", "fastrand", "getrandom"],
        "the core draws no randomness: seeds come in, so that a run can be repeated",
    ),
    (
        &["libc", "nix", "rustix", "socket2", "mio"],
        "the core makes no system calls: it returns what is to be done",
    ),
    (
        &["log", "tracing", "slog"],
        "the core does not log: it returns events, and the shell logs them",
    ),
    (
        &[
            "parking_lot",
            "crossbeam",
            "crossbeam-channel",
            "dashmap",
            "arc-swap",
        ],
        "the core has one owner and no threads",
    ),
    (
        &["ahash", "rustc-hash", "fnv", "indexmap"],
        "hash tables of the core are seeded against peers that choose keys: use BTreeMap, or what core/rib uses",
    ),
    (
        &["anyhow", "eyre"],
        "the core's errors are values that callers act on",
    ),
];

/// Crates from outside that only some rooms may link.
pub(super) const ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "netlink-packet-route",
        &["tapway-netlink"],
        "one room speaks rtnetlink",
    ),
    (
        "netlink-packet-core",
        &["tapway-netlink"],
        "one room speaks rtnetlink",
    ),
    ("libc", &["tapway-sys"], "raw system calls live in edge/sys"),
    (
        "tokio",
        &["tapway-daemon", "tapway-cli"],
        "only the API's server and client wait on many things at once off the hot path",
    ),
    ("axum", &["tapway-daemon"], "there is one HTTP server"),
    (
        "hashbrown",
        &["tapway-rib"],
        "nothing in the core may depend on the order of a hash table: use BTreeMap",
    ),
    (
        "siphasher",
        &["tapway-rib"],
        "one room hashes what peers send",
    ),
    (
        "regex-automata",
        &["tapway-bgp"],
        "only policies have regular expressions, on AS paths",
    ),
    (
        "clap",
        &["tapway-cli", "tapway-daemon"],
        "only what operators type has options",
    ),
    (
        "toml",
        &["tapway-document"],
        "text is read in one place, so that every error has file, line, column, key and remedy",
    ),
    (
        "anyhow",
        &["tapway-daemon", "tapway-cli", "tapway-lab", "xtask"],
        "libraries say what went wrong in a type; only programs add context to text",
    ),
];
