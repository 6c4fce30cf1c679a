//! What servers are asked to do, and how well ours should do it.

use Task::{Broadcast, Echo, Idle, Json};

/// One thing that servers are asked to do, over and over.
pub(super) struct Workload {
    /// As one types it.
    pub(super) name: &'static str,
    /// As the tables have it.
    pub(super) title: &'static str,
    pub(super) task: Task,
    /// The load's arguments.
    pub(super) load: &'static str,
    /// What is told of it.
    pub(super) columns: &'static [Column],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Every message back.
    Echo,
    /// The same, compressed: each message by itself, or with what earlier ones had.
    Json { takeover: bool },
    /// Every message to all connections.
    Broadcast,
    /// Connections that are silent.
    Idle,
}

/// One figure, and its mark: what ours must not exceed.
pub(super) struct Column {
    pub(super) measure: Measure,
    pub(super) mark: Option<f64>,
    /// How well it must have been compressed for the figure to count.
    pub(super) min_ratio: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// The server's CPU time for a message, as a ratio to what the plain bytes cost.
    Relative,
    /// The server's CPU time for a message, in microseconds.
    Message,
    /// The server's CPU time for an opening handshake, in microseconds.
    Handshake,
    /// What a connection that is silent adds to the server's resident memory.
    Bytes,
}

/// All workloads. Those with a mark come first, and are what `--quick` runs.
pub(super) const WORKLOADS: &[Workload] = &[
    echo("20b-c100-d1", "20 B c=100 d=1", "--payload-len 20 --connections 100", MARK_1_05),
    echo("20b-c100-d16", "20 B c=100 d=16", "--payload-len 20 --connections 100 --depth 16", MARK_1_05),
    echo("125b-c1000-d1", "125 B c=1000 d=1", "--payload-len 125 --connections 1000", MARK_1_05),
    echo(
        "1k-c100-d16",
        "1 KiB c=100 d=16",
        "--payload-len 1024 --connections 100 --depth 16",
        &[relative(1.12)],
    ),
    echo("16k-c100-d1", "16 KiB c=100 d=1", "--payload-len 16384 --connections 100", &[relative(1.03)]),
    echo("64k-c1-d16", "64 KiB c=1 d=16", "--payload-len 65536 --depth 16", &[relative(0.71)]),
    echo("1m-c1-d1", "1 MiB c=1 d=1", "--payload-len 1048576", &[relative(0.74)]),
    Workload {
        name: "idle",
        title: "10,000 idle",
        task: Idle,
        load: "--workload idle --payload-len 20 --connections 10000 --depth 16",
        columns: &[absolute(Measure::Bytes, 400.0), absolute(Measure::Handshake, 22.0)],
    },
    Workload {
        name: "json",
        title: "JSON 1 KiB, each by itself",
        task: Json { takeover: false },
        load: "--payload json --payload-len 1024 --connections 100",
        columns: &[Column { min_ratio: Some(2.7), ..absolute(Measure::Message, 30.0) }],
    },
    Workload {
        name: "json-takeover",
        title: "JSON 1 KiB, with takeover",
        task: Json { takeover: true },
        load: "--payload json --payload-len 1024 --connections 100",
        columns: &[Column { min_ratio: Some(5.1), ..absolute(Measure::Message, 60.0) }],
    },
    Workload {
        name: "broadcast",
        title: "broadcast of 125 B to 1,000",
        task: Broadcast,
        load: "--workload broadcast --payload-len 125 --connections 1000 --depth 16",
        columns: &[absolute(Measure::Message, 0.55)],
    },
    echo("20b-c1-d1", "20 B c=1 d=1", "--payload-len 20", UNMARKED),
    echo("125b-c100-d16", "125 B c=100 d=16", "--payload-len 125 --connections 100 --depth 16", UNMARKED),
    echo("1k-c1000-d1", "1 KiB c=1000 d=1", "--payload-len 1024 --connections 1000", UNMARKED),
    echo("16k-c10-d16", "16 KiB c=10 d=16", "--payload-len 16384 --connections 10 --depth 16", UNMARKED),
    echo("64k-c100-d1", "64 KiB c=100 d=1", "--payload-len 65536 --connections 100", UNMARKED),
    echo(
        "text-125b-c100-d16",
        "ASCII 125 B c=100 d=16",
        "--payload text --payload-len 125 --connections 100 --depth 16",
        UNMARKED,
    ),
    echo(
        "text-1k-c100-d16",
        "ASCII 1 KiB c=100 d=16",
        "--payload text --payload-len 1024 --connections 100 --depth 16",
        UNMARKED,
    ),
    echo(
        "mixed-1k-c100-d16",
        "UTF-8 1 KiB c=100 d=16",
        "--payload mixed --payload-len 1024 --connections 100 --depth 16",
        UNMARKED,
    ),
    echo(
        "text-64k-c1-d16",
        "ASCII 64 KiB c=1 d=16",
        "--payload text --payload-len 65536 --depth 16",
        UNMARKED,
    ),
];

const UNMARKED: &[Column] = &[Column { measure: Measure::Relative, mark: None, min_ratio: None }];
const MARK_1_05: &[Column] = &[relative(1.05)];

const fn echo(
    name: &'static str,
    title: &'static str,
    load: &'static str,
    columns: &'static [Column],
) -> Workload {
    Workload { name, title, task: Echo, load, columns }
}

const fn relative(mark: f64) -> Column {
    absolute(Measure::Relative, mark)
}

const fn absolute(measure: Measure, mark: f64) -> Column {
    Column { measure, mark: Some(mark), min_ratio: None }
}

impl Workload {
    /// How many of so many rounds it needs. To open 10,000 connections takes longer than a round of any other.
    pub(super) fn rounds(&self, rounds: u16) -> u16 {
        if self.task == Idle { rounds.div_ceil(3) } else { rounds }
    }

    /// Whether it says how well ours should do.
    pub(super) fn has_mark(&self) -> bool {
        self.columns.iter().any(|column| column.mark.is_some())
    }
}
