//! What was measured, as tables for people and as JSON for machines.

use super::servers::{OURS, RAW, SERVERS, Server};
use super::workloads::{Column, Measure, WORKLOADS, Workload};
use crate::Outcome;
use crate::cargo::output;
use crate::document::today;
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::Command;
use std::thread;

/// More columns than that are another table.
const MAX_COLUMNS: usize = 8;

/// How often and how long is measured, in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) rounds: u16,
    pub(super) warm_up: u64,
    pub(super) measure: u64,
}

/// All that was measured.
pub(super) struct Report {
    machine: String,
    commit: String,
    network: String,
    run: Run,
    results: Vec<Result>,
}

/// What the load has told of a server with a workload, round by round.
struct Result {
    workload: &'static Workload,
    server: &'static Server,
    rounds: Vec<Value>,
}

/// The middle of some values, and how far they are apart.
#[derive(Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    /// How far the middle half of them is apart, in percent of the median.
    percent: f64,
}

/// A column of a table: one figure of one workload.
type Figure = (&'static Workload, &'static Column);

impl Report {
    pub(super) fn new(network: String, run: Run) -> Outcome<Self> {
        Ok(Self { machine: machine(), commit: commit()?, network, run, results: Vec::new() })
    }

    /// Adds what one round has given.
    pub(super) fn add(&mut self, workload: &'static Workload, server: &'static Server, round: Value) {
        let known = self
            .results
            .iter_mut()
            .find(|it| it.workload.name == workload.name && it.server.name == server.name);
        match known {
            Some(known) => known.rounds.push(round),
            None => self.results.push(Result { workload, server, rounds: vec![round] }),
        }
    }

    /// Everything, each round by itself.
    pub(super) fn json(&self) -> Value {
        let results = self.results.iter().map(|result| {
            let figures = result.workload.columns.iter().map(|column| {
                let figure = (result.workload, column);
                let (name, values) = (column.measure.name(), self.values(figure, result.server));
                let spread = Spread::of(&values);
                json!({"measure": name, "median": spread.median, "spread_percent": spread.percent, "mark": column.mark})
            });
            json!({
                "workload": result.workload.name,
                "server": result.server.name,
                "figures": figures.collect::<Vec<_>>(),
                "rounds": result.rounds,
            })
        });
        json!({
            "date": today(),
            "commit": self.commit,
            "machine": self.machine,
            "network": self.network,
            "warm_up_ms": self.run.warm_up,
            "measure_ms": self.run.measure,
            "results": results.collect::<Vec<_>>(),
        })
    }

    /// Tables, in Markdown.
    pub(super) fn markdown(&self) -> String {
        let Run { rounds, warm_up, measure } = self.run;
        let mut text = format!(
            "{}, commit {}: {}; {}; {rounds} rounds of {measure} ms after {warm_up} ms of warm-up.\n",
            today(),
            self.commit,
            self.machine,
            self.network
        );
        let figures: Vec<Figure> = WORKLOADS
            .iter()
            .filter(|workload| self.results.iter().any(|result| result.workload.name == workload.name))
            .flat_map(|workload| workload.columns.iter().map(move |column| (workload, column)))
            .collect();
        let (relative, absolute): (Vec<Figure>, Vec<Figure>) =
            figures.iter().partition(|(_, column)| column.measure == Measure::Relative);
        for (title, figures) in [
            (
                "The server's CPU time for a message, as a ratio to that of raw TCP in the same round",
                relative,
            ),
            ("What else it costs the server", absolute),
        ] {
            let by_mark = figures.chunk_by(|a, b| a.1.mark.is_some() == b.1.mark.is_some());
            for figures in by_mark.flat_map(|figures| figures.chunks(MAX_COLUMNS)) {
                let _ = write!(
                    text,
                    "\n{title} (in brackets: how far the middle half of the rounds is apart):\n\n"
                );
                text += &self.figures_table(figures);
            }
        }
        let mut workloads: Vec<&Workload> = figures
            .iter()
            .filter(|(_, column)| matches!(column.measure, Measure::Relative | Measure::Message))
            .map(|(workload, _)| *workload)
            .collect();
        workloads.dedup_by_key(|workload| workload.name);
        for workloads in workloads.chunks(MAX_COLUMNS) {
            text += "\nThousands of messages a second (in brackets: the median and 99 % of the round trips, µs), which tell \
                     as much of the load's core as of the server's:\n\n";
            text += &self.rates_table(workloads);
        }
        text
    }

    fn figures_table(&self, figures: &[Figure]) -> String {
        let mut rows = vec![row(
            "",
            figures.iter().map(|(workload, column)| match column.measure {
                Measure::Relative => workload.title.to_owned(),
                measure => format!("{}, {}", workload.title, measure.name()),
            }),
        )];
        for server in self.servers() {
            let is_unit =
                server.name == RAW && figures.iter().all(|(_, column)| column.measure == Measure::Relative);
            let title = if is_unit { format!("{}, µs", server.title) } else { server.title.to_owned() };
            rows.push(row(&title, figures.iter().map(|figure| self.cell(*figure, server))));
        }
        let cells = |cell: fn(&Self, Figure) -> String| figures.iter().map(move |figure| cell(self, *figure));
        rows.push(row("ws-cli to the best peer", cells(Self::to_best_peer)));
        if figures.iter().any(|(_, column)| column.mark.is_some()) {
            rows.push(row("the mark", cells(|_, (_, column)| mark(column))));
            rows.push(row("reached", cells(Self::reached)));
        }
        table(&rows)
    }

    fn rates_table(&self, workloads: &[&'static Workload]) -> String {
        let mut rows = vec![row("", workloads.iter().map(|workload| workload.title.to_owned()))];
        for server in self.servers() {
            rows.push(row(
                server.title,
                workloads.iter().map(|workload| {
                    let median = |key: &str| Spread::of(&self.told(workload, server, key)).median;
                    match median("messages_per_second") {
                        rate if rate.is_nan() => String::new(),
                        rate if median("p50_us").is_nan() => format!("{:.1}", rate / 1000.0),
                        rate => {
                            format!("{:.1} ({:.0}, {:.0})", rate / 1000.0, median("p50_us"), median("p99_us"))
                        }
                    }
                }),
            ));
        }
        table(&rows)
    }

    /// A figure of a server.
    fn cell(&self, (workload, column): Figure, server: &Server) -> String {
        let is_unit = column.measure == Measure::Relative && server.name == RAW;
        let values = if is_unit {
            self.absolute((workload, column), server)
        } else {
            self.values((workload, column), server)
        };
        if values.is_empty() {
            return String::new();
        }
        let spread = Spread::of(&values);
        let ratio = Spread::of(&self.told(workload, server, "ratio")).median;
        let ratio = if ratio.is_nan() { String::new() } else { format!(" at {ratio:.2}") };
        let apart = if values.len() == 1 { String::new() } else { format!(" ({:.0} %)", spread.percent) };
        format!("{}{ratio}{apart}", number(spread.median))
    }

    /// Ours beside the best of the others.
    fn to_best_peer(&self, figure: Figure) -> String {
        let Some(ours) = self.ours(figure) else { return String::new() };
        let peers = self.servers().filter(|server| !server.is_ours() && server.name != RAW);
        let peers = peers.filter(|peer| self.compresses_alike(figure.0, peer));
        let peers = peers.map(|peer| (peer.name, Spread::of(&self.values(figure, peer)).median));
        match peers.filter(|(_, median)| !median.is_nan()).min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((name, best)) => format!("{:.2} ({name})", ours / best),
            None => String::new(),
        }
    }

    /// Whether a server's messages are as small as ours, give or take a tenth. What compresses less has less to do.
    fn compresses_alike(&self, workload: &Workload, peer: &Server) -> bool {
        let ratio = |server| Spread::of(&self.told(workload, server, "ratio")).median;
        let ours = SERVERS.iter().find(|server| server.name == OURS).map_or(f64::NAN, ratio);
        ours.is_nan() || (0.9..=1.1).contains(&(ratio(peer) / ours))
    }

    /// Whether ours is as good as it should be.
    fn reached(&self, (workload, column): Figure) -> String {
        let (Some(mark), Some(ours)) = (column.mark, self.ours((workload, column))) else {
            return String::new();
        };
        let ratios = SERVERS.iter().filter(|server| server.name == OURS);
        let ratio = ratios.map(|server| Spread::of(&self.told(workload, server, "ratio")).median).next();
        if let (Some(min_ratio), Some(ratio)) = (column.min_ratio, ratio)
            && ratio < min_ratio
        {
            return format!("compressed {ratio:.2} times only");
        }
        if ours <= mark { "yes".to_owned() } else { format!("no: {:.2} times as much", ours / mark) }
    }

    fn ours(&self, figure: Figure) -> Option<f64> {
        let server = SERVERS.iter().find(|server| server.name == OURS)?;
        Some(Spread::of(&self.values(figure, server)).median).filter(|median| !median.is_nan())
    }

    /// The servers that were measured, in the order in which they were.
    fn servers(&self) -> impl Iterator<Item = &'static Server> {
        let mut servers: Vec<&Server> = Vec::new();
        for result in &self.results {
            if !servers.iter().any(|known| known.name == result.server.name) {
                servers.push(result.server);
            }
        }
        servers.into_iter()
    }

    /// A figure in each round. Rounds are interleaved, so what disturbs one server disturbs raw TCP as well.
    fn values(&self, (workload, column): Figure, server: &Server) -> Vec<f64> {
        let values = self.absolute((workload, column), server);
        if column.measure != Measure::Relative {
            return values;
        }
        let raw = SERVERS.iter().filter(|server| server.name == RAW);
        let raw: Vec<f64> = raw.flat_map(|raw| self.absolute((workload, column), raw)).collect();
        values.iter().zip(raw).map(|(value, raw)| value / raw).collect()
    }

    /// The same, before anything is put in relation.
    fn absolute(&self, (workload, column): Figure, server: &Server) -> Vec<f64> {
        let (key, unit) = column.measure.source();
        self.told(workload, server, key).iter().map(|value| value / unit).collect()
    }

    /// What the load has told under this name, in each round.
    fn told(&self, workload: &Workload, server: &Server, key: &str) -> Vec<f64> {
        let same = |it: &&Result| it.workload.name == workload.name && it.server.name == server.name;
        let rounds = self.results.iter().filter(same).flat_map(|result| &result.rounds);
        rounds.filter_map(|round| round[key].as_f64()).collect()
    }
}

impl Spread {
    /// Of no values, all is NaN.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quarter = sorted.len() / 4;
        let (Some(first), Some(last)) = (sorted.get(quarter), sorted.iter().nth_back(quarter)) else {
            return Self { median: f64::NAN, percent: f64::NAN };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Self { median, percent: (last - first) / median * 100.0 }
    }
}

impl Measure {
    /// What the load calls it, and how many of its units are one of ours.
    fn source(self) -> (&'static str, f64) {
        match self {
            Self::Relative | Self::Message => ("cpu_ns_per_message", 1000.0),
            Self::Handshake => ("cpu_ns_per_handshake", 1000.0),
            Self::Bytes => ("bytes_per_connection", 1.0),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Relative => "to raw TCP",
            Self::Message => "µs a message",
            Self::Handshake => "µs a handshake",
            Self::Bytes => "bytes a connection",
        }
    }
}

fn mark(column: &Column) -> String {
    let ratio = column.min_ratio.map_or(String::new(), |ratio| format!(" at {ratio}"));
    column.mark.map_or(String::new(), |mark| format!("{mark}{ratio}"))
}

/// Three digits, or all that stand before the point.
fn number(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn row(title: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    [title.to_owned()].into_iter().chain(cells).collect()
}

/// Rows of equal length, the first of them the head, with their columns aligned. Rows that tell nothing are left out.
fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row[1..].iter().any(|cell| !cell.is_empty())).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text += "|\n";
        if index == 0 {
            text.extend(widths.iter().map(|width| format!("| {:-<width$} ", "")));
            text += "|\n";
        }
    }
    text
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model =
        cpus.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{cores} cores of {}, Linux {}, with a load of {} before",
        model.unwrap_or(std::env::consts::ARCH),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split_whitespace().next().unwrap_or("unknown weight")
    )
}

fn commit() -> Outcome<String> {
    let git =
        |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(crate::cargo::root()));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Ok(commit.trim().to_owned() + if changes.is_empty() { "" } else { " with changes" })
}

#[cfg(test)]
mod tests {
    use super::{Spread, number, table};

    #[test]
    fn the_middle_and_the_spread() {
        for (values, median, percent) in
            [(&[2.0][..], 2.0, 0.0), (&[3.0, 1.0, 2.0], 2.0, 100.0), (&[4.0, 1.0, 2.0, 3.0], 2.5, 40.0)]
        {
            assert_eq!(Spread::of(values), Spread { median, percent }, "{values:?}");
        }
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, expect) in [(0.391, "0.391"), (1.0849, "1.08"), (12.34, "12.3"), (137_000.4, "137000")] {
            assert_eq!(number(value), expect);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["", "µs"], ["raw", "12.5"], ["silent", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "|     | µs   |\n| --- | ---- |\n| raw | 12.5 |\n");
    }
}
