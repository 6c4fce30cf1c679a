//! The writer of log lines. Each line is written whole or counted as lost, whatever the state of
//! the standard error is.

use std::{
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};

/// The largest write that a pipe keeps in one piece (POSIX), as other programs may write to it, in
/// bytes.
const PIPE_BUF: usize = 4096;

/// The wait before the next attempt to write to a full sink that does not block.
const FULL_WAIT: Duration = Duration::from_millis(10);

/// Writes lines to a sink, and counts the lines lost.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    sink: W,
    lost_lines: u64,
    /// The last error.
    error: String,
    /// The sink failed in the middle of a line.
    is_cut: bool,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(sink: W) -> Self {
        Self { sink, lost_lines: 0, error: String::new(), is_cut: false }
    }

    /// Writes whole lines. Waits while the sink is full.
    pub(crate) fn write(&mut self, lines: &str) {
        let mut rest = lines;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(whole_lines(rest));
            self.lost_lines += self.write_piece(piece);
            rest = later;
        }
    }

    /// The number of lines lost and not reported yet, and the last error; `None` if nothing was
    /// lost.
    pub(crate) fn loss(&self) -> Option<(u64, &str)> {
        (self.lost_lines > 0).then_some((self.lost_lines, &*self.error))
    }

    /// Writes the line that reports the loss. The loss stands until the sink takes it.
    pub(crate) fn report_loss(&mut self, line: &str) {
        if self.write_piece(line) == 0 {
            self.lost_lines = 0;
        }
    }

    /// Returns the number of lines that the sink did not take.
    fn write_piece(&mut self, piece: &str) -> u64 {
        let is_cut = self.is_cut;
        let text = if is_cut { &*format!("\n{piece}") } else { piece };
        let bytes = text.as_bytes();
        let mut written_len = 0;
        while let Some(rest) = bytes.get(written_len..)
            && !rest.is_empty()
        {
            match self.sink.write(rest) {
                Ok(0) => {
                    self.error = io::Error::from(ErrorKind::WriteZero).to_string();
                    break;
                }
                Ok(len) => written_len += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another program that shares the pipe may make it non-blocking at any time.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_WAIT),
                Err(error) => {
                    self.error = error.to_string();
                    break;
                }
            }
        }
        let (written, unwritten) = bytes.split_at(written_len.min(bytes.len()));
        self.is_cut = written.last().map_or(is_cut, |last| *last != b'\n');
        let ends = unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
        // Without a byte written, the line break that closes the cut line is among them.
        ends - u64::from(is_cut && written.is_empty())
    }
}

/// The length of the whole lines that can be written in one piece, at least one line, in bytes.
fn whole_lines(lines: &str) -> usize {
    let (piece, rest) = lines.as_bytes().split_at(lines.len().min(PIPE_BUF));
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|last| last + 1);
    let longer = || lines.find('\n').map_or(lines.len(), |first| first + 1);
    if rest.is_empty() { lines.len() } else { end(piece).unwrap_or_else(longer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each write with the next step, and takes everything when there is none.
    #[derive(Default)]
    struct Scripted {
        steps: Vec<Result<usize, ErrorKind>>,
        taken: String,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let step = if self.steps.is_empty() { Ok(bytes.len()) } else { self.steps.remove(0) };
            let len = step?.min(bytes.len());
            self.taken.push_str(str::from_utf8(&bytes[..len]).unwrap());
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
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
    fn every_line_is_written_or_counted_and_none_is_joined_to_a_cut_one() {
        use ErrorKind::{BrokenPipe, FileTooLarge, Interrupted, StorageFull, WouldBlock};
        for (rule, steps, expect, lost) in [
            ("all at once", &[][..], "ab\ncd\n", 0),
            ("a signal", &[Err(Interrupted)], "ab\ncd\n", 0),
            ("full", &[Err(WouldBlock), Err(WouldBlock)], "ab\ncd\n", 0),
            ("full within a line", &[Ok(4), Err(WouldBlock), Ok(1), Err(WouldBlock)], "ab\ncd\n", 0),
            ("gone", &[Err(BrokenPipe)], "", 2),
            ("takes nothing", &[Ok(0)], "", 2),
            ("at its limit between lines", &[Ok(3), Err(FileTooLarge)], "ab\n", 1),
            ("at its limit within the first line", &[Ok(1), Err(FileTooLarge)], "a\n", 2),
            ("no space within the second line", &[Ok(4), Err(StorageFull)], "ab\nc\n", 1),
            ("no space before the last line break", &[Ok(5), Err(StorageFull)], "ab\ncd\n", 1),
        ] {
            let mut writer = Writer::new(Scripted { steps: steps.to_vec(), taken: String::new() });
            writer.write("ab\ncd\n");
            assert_eq!(writer.loss().map_or(0, |(lines, _)| lines), lost, "{rule}");
            writer.write("ef\n");
            assert_eq!(writer.sink.taken, format!("{expect}ef\n"), "{rule}");
            assert_eq!(writer.loss().map_or(0, |(lines, _)| lines), lost, "{rule}");
        }
    }

    #[test]
    fn a_loss_stands_until_its_report_is_written() {
        let steps = vec![Ok(1), Err(ErrorKind::StorageFull)];
        let mut writer = Writer::new(Scripted { steps, taken: String::new() });
        writer.write("ab\n");
        assert_eq!(writer.loss(), Some((1, &*io::Error::from(ErrorKind::StorageFull).to_string())));
        for step in [vec![Err(ErrorKind::BrokenPipe)], vec![Ok(2), Err(ErrorKind::FileTooLarge)]] {
            writer.sink.steps = step;
            writer.report_loss("lost\n");
            assert_eq!(writer.loss().map(|(lines, _)| lines), Some(1));
        }
        writer.report_loss("lost\n");
        assert_eq!((writer.loss(), &*writer.sink.taken), (None, "a\nl\nlost\n"));
    }
}
