//! The log: lines to the standard error, each in one piece, written by a thread of its own.
//!
//! Logging a line never waits for the reader of the log. Lines that are not written, because the
//! reader stalls, the disk is full or their rate is too high, are counted, and their number is
//! reported as soon as possible.

use crate::serve::{
    rate::{Rates, Sort},
    writer::Writer,
};
use std::{
    fmt::{Display, Write as _},
    io::{self, Write},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// The maximum length of the lines that wait for the writing thread, in bytes. Further lines are
/// dropped.
const MAX_PENDING_LEN: usize = 1 << 20;

/// The time for which lines are gathered after a write, so that a thousand connections per second
/// do not wake the thread a thousand times.
const GATHER: Duration = Duration::from_millis(10);

/// The deadline for the last lines when the program ends.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// The wait before lost lines are reported to a sink that has failed, if no other line comes.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum length of a text that may come from a peer, in characters.
const MAX_TEXT_LEN: usize = 200;

/// The part of a text that a line needs: one character more than it shows, as a longer text ends in
/// `...`.
pub(crate) fn kept(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_TEXT_LEN + 1).map_or(text.len(), |(index, _)| index);
    text.get(..end).unwrap_or(text)
}

/// The format of lines. `Text` is `2026-11-22T18:03:11.123Z open  address=127.0.0.1:51234
/// path="/chat"`, and `Json` an object with the same fields. `Off` leaves out all lines but errors
/// and messages of the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Off,
}

/// The level of lines. A log has the lines of its level and of the levels before it. `Error` is for
/// defects, such as panics and the failure of the server; `Warn` for shortages and for lines lost
/// or left out; `Info` for connections that open, close or are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    /// The level of the lines with this event.
    fn of(event: &str) -> Self {
        match event {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "debug" => Self::Debug,
            _ => Self::Info,
        }
    }
}

/// The log, for any thread.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    format: Format,
    level: Level,
    shared: Arc<Shared>,
}

/// A line on its way to the log: its time and its event, then its fields in their order.
#[derive(Debug)]
pub(crate) struct Line {
    is_json: bool,
    text: String,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    /// Signals that lines wait.
    filled: Condvar,
    /// Signals that all lines are written.
    written: Condvar,
}

/// The lines that wait for the writing thread, and its state.
#[derive(Debug)]
struct Pending {
    lines: String,
    rates: Rates,
    dropped: u64,
    is_writing: bool,
    /// Whether the writing thread sleeps until lines come.
    is_idle: bool,
}

impl Log {
    /// Starts the thread that writes to the standard error.
    ///
    /// # Errors
    ///
    /// The system refuses the thread.
    pub(crate) fn start(format: Format, level: Level, max_lines_per_second: u32) -> io::Result<Self> {
        let log = Self::new(format, level, max_lines_per_second);
        let writing = log.clone();
        thread::Builder::new().name("ws-log".to_owned()).spawn(move || {
            loop {
                // A server must not run on without its log, so a panic here does not end the
                // thread. The panic is logged like any other.
                let _ = catch_unwind(AssertUnwindSafe(|| writing.write_to(io::stderr())));
                thread::sleep(RETRY_INTERVAL);
            }
        })?;
        Ok(log)
    }

    /// A log that keeps its lines until they are taken.
    pub(crate) fn new(format: Format, level: Level, max_lines_per_second: u32) -> Self {
        let rates = Rates::new(max_lines_per_second);
        let pending = Pending { lines: String::new(), rates, dropped: 0, is_writing: false, is_idle: false };
        let (filled, written) = Default::default();
        let level = if format == Format::Off { Level::Error } else { level };
        Self { format, level, shared: Arc::new(Shared { pending: Mutex::new(pending), filled, written }) }
    }

    /// Whether connections are logged.
    pub(crate) fn is_on(&self) -> bool {
        self.level >= Level::Info
    }

    /// The least important lines that are logged.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Logs an event with its fields. Returns whether it was logged: the level of the log or the
    /// rate of its sort may leave it out.
    pub(crate) fn event(&self, event: &str, fields: impl FnOnce(&mut Line)) -> bool {
        let is_logged = Level::of(event) <= self.level && self.admit(Sort::of(event));
        if is_logged {
            let mut line = self.line(event);
            fields(&mut line);
            self.push(line);
        }
        is_logged
    }

    /// Writes a message of the program itself, at every level.
    pub(crate) fn say(&self, text: &str) {
        let line = if self.format == Format::Json {
            let mut line = self.line("notice");
            line.text("message", text);
            line
        } else {
            Line { is_json: false, text: text.to_owned() }
        };
        self.push(line);
    }

    /// Waits until all lines are written, up to a deadline for readers that have stalled.
    pub(crate) fn finish(&self) {
        let report = self.lock().rates.take_report(Instant::now());
        report.into_iter().for_each(|left_out| self.push(self.left_out_line(left_out)));
        self.wait_until_written(FINISH_TIMEOUT);
    }

    /// Waits until all lines are written; returns whether they were in time.
    fn wait_until_written(&self, timeout: Duration) -> bool {
        let unwritten = |pending: &mut Pending| pending.is_writing || !pending.lines.is_empty();
        let waited = self.shared.written.wait_timeout_while(self.lock(), timeout, unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn line(&self, event: &str) -> Line {
        // The format has no notation for times before 1970, which a clock without its battery may
        // show.
        let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
        Line::new(self.format == Format::Json, now, event)
    }

    fn left_out_line(&self, (events, lines): (&str, u64)) -> Line {
        let mut line = self.line("warn");
        line.text("message", "lines were left out, as there were too many (--max-log-lines-per-second)");
        line.text("events", events).value("lines", lines);
        line
    }

    fn admit(&self, sort: Sort) -> bool {
        let mut pending = self.lock();
        let rates = &mut pending.rates;
        let admitted = rates.admit(sort, Instant::now());
        // The first line left out is reported even if no other line comes.
        let wakes = !admitted && rates.left_out() == 1 && mem::take(&mut pending.is_idle);
        drop(pending);
        if wakes {
            self.shared.filled.notify_one();
        }
        admitted
    }

    fn push(&self, line: Line) {
        let line = line.end();
        let mut pending = self.lock();
        if pending.lines.len() + line.len() > MAX_PENDING_LEN {
            pending.dropped += 1;
            return;
        }
        pending.lines.push_str(&line);
        let wakes = mem::take(&mut pending.is_idle);
        // The thread that wakes up takes the lock.
        drop(pending);
        if wakes {
            self.shared.filled.notify_one();
        }
    }

    /// Writes lines for as long as the program runs.
    fn write_to(&self, sink: impl Write) {
        let mut writer = Writer::new(sink);
        loop {
            let lines = self.take(writer.loss().map(|_| RETRY_INTERVAL));
            if let Some((lines, error)) = writer.loss() {
                let mut line = self.line("warn");
                line.text("message", "lines were lost, as they could not be written").text("error", error);
                line.value("lines", lines);
                writer.report_loss(&line.end());
            }
            writer.write(&lines);
            thread::sleep(GATHER);
        }
    }

    /// Takes the lines that wait, or waits for lines up to `timeout`.
    pub(crate) fn take(&self, timeout: Option<Duration>) -> String {
        let mut pending = self.lock();
        pending.is_writing = false;
        if pending.lines.is_empty() {
            self.shared.written.notify_all();
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let (now, is_report_due) = loop {
            let now = Instant::now();
            let next_report = pending.rates.next_report(now);
            let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if !pending.lines.is_empty() || is_past(next_report) || is_past(deadline) {
                break (now, is_past(next_report));
            }
            pending.is_idle = true;
            let filled = &self.shared.filled;
            pending = match [next_report, deadline].into_iter().flatten().min() {
                Some(at) => filled.wait_timeout(pending, at - now).unwrap_or_else(PoisonError::into_inner).0,
                None => filled.wait(pending).unwrap_or_else(PoisonError::into_inner),
            };
        };
        pending.is_idle = false;
        pending.is_writing = true;
        let mut lines = mem::take(&mut pending.lines);
        let dropped = mem::take(&mut pending.dropped);
        let left_out = if is_report_due { pending.rates.take_report(now) } else { Vec::new() };
        drop(pending);
        if dropped > 0 {
            let mut line = self.line("warn");
            line.text("message", "lines were dropped, as they were not read").value("lines", dropped);
            lines.push_str(&line.end());
        }
        for left_out in left_out {
            lines.push_str(&self.left_out_line(left_out).end());
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // No code under the lock can panic, so a poisoned lock is sound.
        self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn new(is_json: bool, time: SystemTime, event: &str) -> Self {
        let time = humantime::format_rfc3339_millis(time);
        let text = if is_json {
            format!("{{\"time\":\"{time}\",\"event\":\"{event}\"")
        } else {
            format!("{time} {event:<5}")
        };
        Self { is_json, text }
    }

    /// Adds a number.
    pub(crate) fn value(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.key(key);
        self.put(format_args!("{value}"));
        self
    }

    /// Adds a word that needs no escaping, such as an address.
    pub(crate) fn word(&mut self, key: &str, word: impl Display) -> &mut Self {
        self.key(key);
        match self.is_json {
            true => self.put(format_args!("\"{word}\"")),
            false => self.put(format_args!("{word}")),
        }
        self
    }

    /// Adds a text of any origin, escaped and cut.
    pub(crate) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.key(key);
        self.text.push('"');
        let mut chars = text.chars();
        for c in chars.by_ref().take(MAX_TEXT_LEN) {
            self.escape(c);
        }
        let more = if chars.next().is_some() { "...\"" } else { "\"" };
        self.text.push_str(more);
        self
    }

    /// Adds a text if there is one. In JSON, its key is always present.
    pub(crate) fn optional_text(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(key, text),
            None if self.is_json => self.value(key, "null"),
            None => self,
        }
    }

    fn key(&mut self, key: &str) {
        match self.is_json {
            true => self.put(format_args!(",\"{key}\":")),
            false => self.put(format_args!(" {key}=")),
        }
    }

    /// Escapes as JSON does (RFC 8259 §7), and all characters that are not ASCII: some of these,
    /// too, control a terminal or change the order of its text.
    fn escape(&mut self, c: char) {
        match c {
            '"' | '\\' => self.put(format_args!("\\{c}")),
            ' '..='~' => self.text.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.put(format_args!("\\u{unit:04x}"));
                }
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` does not fail.
        let _ = self.text.write_fmt(text);
    }

    fn end(mut self) -> String {
        self.text.push_str(if self.is_json { "}\n" } else { "\n" });
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn line(is_json: bool, fields: impl FnOnce(&mut Line)) -> String {
        let mut line = Line::new(is_json, SystemTime::UNIX_EPOCH + Duration::from_millis(1_500), "open");
        fields(&mut line);
        line.end()
    }

    #[test]
    fn the_same_fields_in_either_format() {
        let fields = |line: &mut Line| {
            line.word("address", "[::1]:80").text("path", "/a b").value("code", 1000);
            line.optional_text("error", None).optional_text("reason", Some("bye"));
        };
        assert_eq!(
            line(false, fields),
            "1970-01-01T00:00:01.500Z open  address=[::1]:80 path=\"/a b\" code=1000 reason=\"bye\"\n"
        );
        assert_eq!(
            line(true, fields),
            "{\"time\":\"1970-01-01T00:00:01.500Z\",\"event\":\"open\",\"address\":\"[::1]:80\",\"path\":\"/a b\",\
             \"code\":1000,\"error\":null,\"reason\":\"bye\"}\n"
        );
    }

    #[test]
    fn what_is_kept_of_a_text_is_shown_as_all_of_it() {
        for text in [String::new(), "ü".repeat(199), "ü".repeat(200), "ü".repeat(201), "/a".repeat(8_000)]
        {
            let show = |text: &str| {
                line(false, |line| {
                    line.text("path", text);
                })
            };
            assert_eq!(show(kept(&text)), show(&text));
            assert!(kept(&text).chars().count() <= 201);
        }
    }

    #[test]
    fn what_comes_from_a_peer_is_escaped_and_can_be_read_back() {
        for (text, expect) in [
            ("", ""),
            ("/chat%0a'~", "/chat%0a'~"),
            ("\" \\", "\\\" \\\\"),
            ("a\r\n\0\t", "a\\u000d\\u000a\\u0000\\u0009"),
            ("\x1b[31m\x7f\u{9b}", "\\u001b[31m\\u007f\\u009b"),
            ("ü\u{202e}\u{2028}👋", "\\u00fc\\u202e\\u2028\\ud83d\\udc4b"),
        ] {
            let fields = |line: &mut Line| {
                line.text("path", text);
            };
            assert!(line(false, fields).ends_with(&format!(" path=\"{expect}\"\n")), "{text:?}");
            let object: serde_json::Value = serde_json::from_str(&line(true, fields)).unwrap();
            assert_eq!(object["path"], text);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, expect) in [
            ("👋".repeat(200), "👋".repeat(200)),
            ("👋".repeat(201), "👋".repeat(200) + "..."),
            ("\"".repeat(1 << 20), "\"".repeat(200) + "..."),
        ] {
            let object = line(true, |line| {
                line.text("path", &text);
            });
            let object: serde_json::Value = serde_json::from_str(&object).unwrap();
            assert_eq!(object["path"], expect);
        }
    }

    #[test]
    fn what_nobody_writes_is_dropped_and_counted() {
        let log = Log::new(Format::Text, Level::Info, 1_000);
        let text = "x".repeat((1 << 10) - 1);
        for _ in 0..1024 {
            log.say(&text);
        }
        assert_eq!(log.lock().dropped, 0);
        log.say("");
        log.event("open", |_| {});
        assert_eq!(log.lock().dropped, 2);

        let lines = log.take(None);
        assert!(lines.starts_with(&text));
        let last = lines.lines().last().unwrap();
        assert!(
            last.ends_with(" warn  message=\"lines were dropped, as they were not read\" lines=2"),
            "{last}"
        );
        log.say("again");
        assert_eq!(log.take(None), "again\n");
    }

    #[test]
    fn off_is_silent_but_for_errors_and_what_the_program_says() {
        let log = Log::new(Format::Off, Level::Debug, 1_000);
        for event in ["open", "warn", "debug"] {
            assert!(!log.event(event, |_| panic!("nobody reads this")));
        }
        log.say("listening");
        assert_eq!(log.take(None), "listening\n");
        assert!(log.event("error", |_| {}));
        assert!(log.take(None).ends_with(" error\n"));
    }

    #[test]
    fn a_level_has_the_lines_above_it() {
        let events = ["error", "warn", "info", "open", "refused", "message", "debug"];
        for (level, expect) in
            [(Level::Error, 1), (Level::Warn, 2), (Level::Info, 6), (Level::Debug, events.len())]
        {
            let log = Log::new(Format::Text, level, 1_000);
            let logged: Vec<_> = events.into_iter().filter(|event| log.event(event, |_| {})).collect();
            assert_eq!(logged, events[..expect], "{level:?}");
        }
    }

    #[test]
    fn lines_left_out_are_reported_without_another_line_and_at_the_end() {
        let log = Log::new(Format::Json, Level::Info, 1);
        let flood = || (0..12).filter(|_| !log.event("refused", |_| {})).count() as u64;
        let report = |lines: &str| -> Vec<u64> {
            let object = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
            let reports = lines.lines().map(object).filter(|line| line["events"] == "refused");
            reports.map(|line| line["lines"].as_u64().unwrap()).collect()
        };
        let left_out = flood();
        assert_eq!(left_out, 2);
        assert_eq!(report(&log.take(None)), [left_out], "with the other lines");
        let left_out = flood();
        log.take(Some(Duration::ZERO));
        assert_eq!(report(&log.take(None)), [left_out], "a second later, though no line has come");
        let left_out = flood();
        log.finish();
        assert_eq!(report(&log.take(None)), [left_out], "at the end");
    }

    #[test]
    fn a_sink_that_fails_ends_nothing_and_what_it_lost_is_reported_later() {
        /// Fails until it is told not to.
        #[derive(Clone, Default)]
        struct Failing {
            works: Arc<AtomicBool>,
            taken: Arc<Mutex<String>>,
        }
        impl Write for Failing {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if !self.works.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.taken.lock().unwrap().push_str(str::from_utf8(bytes).unwrap());
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (log, sink) = (Log::new(Format::Text, Level::Info, 1_000), Failing::default());
        let (writing, to) = (log.clone(), sink.clone());
        thread::spawn(move || writing.write_to(to));
        for _ in 0..3 {
            log.say("is anybody there?");
            assert!(log.wait_until_written(Duration::from_secs(20)));
        }
        sink.works.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(20);
        while sink.taken.lock().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "the loss is reported though no line comes");
            thread::yield_now();
        }
        log.say("again");
        assert!(log.wait_until_written(Duration::from_secs(20)));
        let taken = sink.taken.lock().unwrap();
        let (report, rest) = taken.split_once('\n').unwrap();
        let expect = " warn  message=\"lines were lost, as they could not be written\" error=\"no storage space\" lines=3";
        assert!(report.ends_with(expect), "{report}");
        assert_eq!(rest, "again\n");
    }
}
