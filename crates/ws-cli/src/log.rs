//! The log: lines to the standard error, each in one piece, written by a thread of its own.
//!
//! Nobody who writes a line waits for whoever reads it. A reader that stalls costs lines, and their number is told; one
//! that goes away costs all of them, and nothing else.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

/// How many bytes wait for the writing thread at most. A line that would be one too many is dropped.
const MAX_PENDING_LEN: usize = 1 << 20;

/// How long lines are gathered after a write, so that a thousand connections a second wake nobody a thousand times.
const GATHER: Duration = Duration::from_millis(10);

/// How many bytes a pipe takes in one piece (POSIX), where other programs may write to it too.
const PIPE_BUF: usize = 4096;

/// How long the last lines may take when the program ends.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// How many characters are shown of a text that may come from a peer.
const MAX_TEXT_LEN: usize = 200;

/// What a line looks like: for people, `2026-11-22T18:03:11.123Z open  address=127.0.0.1:51234 path="/chat"`; for
/// programs, an object of the same. With `Off`, there is none but what the program itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Off,
}

/// Where lines go, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    format: Format,
    shared: Arc<Shared>,
}

/// A line on its way to the log: its time and its event, then its fields in their order.
#[derive(Debug)]
pub(crate) struct Line {
    is_json: bool,
    text: String,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// There is something to be written.
    filled: Condvar,
    /// All is written.
    written: Condvar,
}

/// What waits for the writing thread.
#[derive(Debug, Default)]
struct Pending {
    lines: String,
    dropped: u64,
    is_writing: bool,
    /// The writing thread sleeps until there is something.
    is_idle: bool,
}

impl Log {
    /// Starts the thread that writes to the standard error.
    ///
    /// # Errors
    ///
    /// The system's, if it does not let us have a thread.
    pub(crate) fn start(format: Format) -> io::Result<Self> {
        let log = Self { format, shared: Arc::default() };
        let writing = log.clone();
        thread::Builder::new().name("ws-log".to_owned()).spawn(move || writing.write_to(io::stderr()))?;
        Ok(log)
    }

    /// Whether events are logged, and not only what the program says.
    pub(crate) fn is_on(&self) -> bool {
        self.format != Format::Off
    }

    /// Logs an event, with its fields.
    pub(crate) fn event(&self, event: &str, fields: impl FnOnce(&mut Line)) {
        if self.is_on() {
            let mut line = self.line(event);
            fields(&mut line);
            self.push(line);
        }
    }

    /// Says something to the person who started the program, whatever is logged.
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

    /// Waits until all is written, but not for a reader that has stalled.
    pub(crate) fn finish(&self) {
        self.wait_until_written(FINISH_TIMEOUT);
    }

    /// Whether all is written in time.
    fn wait_until_written(&self, timeout: Duration) -> bool {
        let unwritten = |pending: &mut Pending| pending.is_writing || !pending.lines.is_empty();
        let waited = self.shared.written.wait_timeout_while(self.lock(), timeout, unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn line(&self, event: &str) -> Line {
        Line::new(self.format == Format::Json, SystemTime::now(), event)
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
        // Whoever is woken takes the lock.
        drop(pending);
        if wakes {
            self.shared.filled.notify_one();
        }
    }

    /// Writes what comes, for as long as the program runs.
    fn write_to(&self, mut sink: impl Write) {
        loop {
            let lines = self.take();
            let mut rest = &*lines;
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(whole_lines(rest));
                // Where nobody reads, nothing is to be done.
                let _ = sink.write_all(piece.as_bytes());
                rest = later;
            }
            thread::sleep(GATHER);
        }
    }

    /// Waits for lines.
    fn take(&self) -> String {
        let mut pending = self.lock();
        pending.is_writing = false;
        if pending.lines.is_empty() {
            self.shared.written.notify_all();
        }
        pending.is_idle = true;
        let waited = self.shared.filled.wait_while(pending, |pending| pending.lines.is_empty());
        let mut pending = waited.unwrap_or_else(PoisonError::into_inner);
        pending.is_idle = false;
        pending.is_writing = true;
        let mut lines = mem::take(&mut pending.lines);
        let dropped = mem::take(&mut pending.dropped);
        drop(pending);
        if dropped > 0 {
            let mut line = self.line("warn");
            line.text("message", "lines were dropped, as they were not read").value("lines", dropped);
            lines.push_str(&line.end());
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // No code that could panic runs under the lock.
        self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of as many whole lines as can be written in one piece, but of one at least.
fn whole_lines(lines: &str) -> usize {
    let (piece, rest) = lines.as_bytes().split_at(lines.len().min(PIPE_BUF));
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|last| last + 1);
    let longer = || lines.find('\n').map_or(lines.len(), |first| first + 1);
    if rest.is_empty() { lines.len() } else { end(piece).unwrap_or_else(longer) }
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

    /// Adds a word that has nothing to be escaped, such as an address.
    pub(crate) fn word(&mut self, key: &str, word: impl Display) -> &mut Self {
        self.key(key);
        match self.is_json {
            true => self.put(format_args!("\"{word}\"")),
            false => self.put(format_args!("{word}")),
        }
        self
    }

    /// Adds a text of whatever origin: escaped, and cut where it is long.
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

    /// Adds a text if there is one. For programs, its key is always there.
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

    /// Escapes as JSON does (RFC 8259 §7), and everything that is not ASCII, too: what a terminal would obey, or show in
    /// another order, is not only among the control characters.
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
        // A `String` takes everything.
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
        let log = Log { format: Format::Text, shared: Arc::default() };
        let text = "x".repeat((1 << 10) - 1);
        for _ in 0..1024 {
            log.say(&text);
        }
        assert_eq!(log.lock().dropped, 0);
        log.say("");
        log.event("open", |_| {});
        assert_eq!(log.lock().dropped, 2);

        let lines = log.take();
        assert!(lines.starts_with(&text));
        let last = lines.lines().last().unwrap();
        assert!(
            last.ends_with(" warn  message=\"lines were dropped, as they were not read\" lines=2"),
            "{last}"
        );
        log.say("again");
        assert_eq!(log.take(), "again\n");
    }

    #[test]
    fn lines_are_written_whole_and_many_at_once() {
        let long = "x".repeat(5_000);
        for (lines, expect) in [
            ("a\n".to_owned(), 2),
            ("a\n".repeat(2_048), 4_096),
            ("a\n".repeat(2_049), 4_096),
            ("abc\n".repeat(1_024) + "d\n", 4_096),
            ("abcd\n".repeat(1_000), 4_095),
            (format!("{long}\na\n"), 5_001),
            (format!("a\n{long}\n"), 2),
        ] {
            assert_eq!(whole_lines(&lines), expect, "{} bytes", lines.len());
        }
    }

    #[test]
    fn off_is_silent_but_for_what_the_program_says() {
        let log = Log { format: Format::Off, shared: Arc::default() };
        log.event("open", |_| panic!("nobody reads this"));
        log.say("listening");
        assert_eq!(log.take(), "listening\n");
    }

    #[test]
    fn a_sink_that_fails_ends_nothing() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = Log { format: Format::Text, shared: Arc::default() };
        let writing = log.clone();
        thread::spawn(move || writing.write_to(Closed));
        for _ in 0..3 {
            log.say("is anybody there?");
            assert!(log.wait_until_written(Duration::from_secs(20)));
        }
    }
}
