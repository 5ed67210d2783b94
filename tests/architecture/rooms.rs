//! The rooms of the library: which modules stand in each, and where it stands in the picture.

/// A part of the library that one learns at a time.
pub struct Room {
    /// Its name, which is that of its first module but for the last ones.
    pub name: &'static str,
    /// What it is, in few words.
    pub says: &'static str,
    pub modules: &'static [&'static str],
    /// Column and row in the picture.
    pub at: (usize, usize),
}

const fn room(
    name: &'static str,
    says: &'static str,
    modules: &'static [&'static str],
    at: (usize, usize),
) -> Room {
    Room {
        name,
        says,
        modules,
        at,
    }
}

/// In an order in which each uses only those before it, but for [`AGAINST`].
pub const ROOMS: &[Room] = &[
    room(
        "ground",
        "secrets, input within bounds, printing",
        &["secret", "input", "console"],
        (0, 3),
    ),
    room(
        "model",
        "KeyDB as it is promised, with quirks that break it",
        &["model"],
        (1, 1),
    ),
    room(
        "topology",
        "a value: the nodes, and who follows whom",
        &["topology", "spec"],
        (0, 0),
    ),
    room(
        "testbed",
        "gives it a place, and takes all of it away again",
        &["testbed", "run", "cleanup", "settings"],
        (1, 0),
    ),
    room(
        "verdict",
        "held against what is known of the release",
        &["verdict"],
        (2, 2),
    ),
    room(
        "relay",
        "stands in a link: delays, cuts, changes, listens",
        &["relay"],
        (2, 1),
    ),
    room(
        "cluster",
        "servers that run, clients for them, and waits",
        &["cluster", "lab", "wait"],
        (2, 0),
    ),
    room(
        "history",
        "what was done and what was seen, on one clock",
        &["history"],
        (4, 2),
    ),
    room(
        "fault",
        "what goes wrong, and a schedule of it",
        &["fault", "schedule"],
        (3, 1),
    ),
    room(
        "trial",
        "one scenario on one cluster: it takes the findings",
        &["trial"],
        (3, 0),
    ),
    room(
        "workload",
        "clients that write and read, and record it",
        &["workload"],
        (4, 1),
    ),
    room(
        "property",
        "what must be true of a cluster or of a history",
        &["property", "judge"],
        (3, 2),
    ),
    room(
        "scenario",
        "walks a story on the cluster, and checks",
        &["scenario", "behaviour", "exercise", "fixtures", "prelude"],
        (4, 0),
    ),
    room(
        "check",
        "the one place that knows them all: plans and runs",
        &["check"],
        (0, 1),
    ),
    room(
        "knowledge",
        "tables of what is promised, known and was seen",
        &[
            "promise",
            "defect",
            "explanation",
            "record",
            "reproduction",
            "upstream",
        ],
        (1, 3),
    ),
    room(
        "upgrade",
        "asks two releases, or a cluster of others",
        &["upgrade", "inspect", "attached"],
        (0, 2),
    ),
    room(
        "report",
        "shows it: terminal, page, JUnit, tables",
        &["report"],
        (1, 2),
    ),
];

/// The way of data.
pub const FLOW: &[(&str, &str)] = &[
    ("topology", "testbed"),
    ("testbed", "cluster"),
    ("cluster", "trial"),
    ("trial", "scenario"),
    ("scenario", "workload"),
    ("workload", "history"),
    ("history", "property"),
    ("property", "verdict"),
    ("verdict", "report"),
    ("model", "testbed"),
    ("relay", "cluster"),
    ("fault", "trial"),
    ("knowledge", "report"),
    ("upgrade", "report"),
];

/// Uses of a later room, and why each is there.
pub const AGAINST: &[(&str, &str, &str)] = &[
    (
        "relay",
        "history",
        "what a relay overhears is noted in the words of a history",
    ),
    (
        "cluster",
        "history",
        "what every node holds at the end is a part of the history",
    ),
    (
        "cluster",
        "fault",
        "a lab carries the schedule that its trials are to follow",
    ),
    (
        "cluster",
        "workload",
        "a lab asks its servers for the commands that traffic sends",
    ),
    (
        "cluster",
        "scenario",
        "a lab asks its servers for the commands that scenarios need",
    ),
    (
        "cluster",
        "check",
        "a lab asks its servers for the options that planned topologies name",
    ),
    (
        "fault",
        "workload",
        "a schedule counts the operations of the traffic that it strikes",
    ),
    (
        "knowledge",
        "report",
        "runs that are kept as evidence are results.json files",
    ),
];

/// The room of a module.
pub fn room_of(module: &str) -> &'static str {
    let room = ROOMS.iter().find(|room| room.modules.contains(&module));
    room.unwrap_or_else(|| {
        panic!("{module} stands in no room: put it into tests/architecture/rooms.rs")
    })
    .name
}
