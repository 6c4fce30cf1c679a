//! The program, started for one test, and a client of a few lines that speaks plain bytes to it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How long anything may take before its test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `ws-cli` with these flags, and with nothing of our environment that is meant for it.
pub(crate) fn ws_cli(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws-cli"));
    command.args(flags);
    clean(&mut command);
    command
}

/// A shell that runs `script`, in which `"$0"` is the program.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_ws-cli")]);
    clean(&mut command);
    command
}

/// What a program that ends by itself leaves behind.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: &mut Command) -> Ended {
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stderr = read_all(child.stderr.take().unwrap());
    let mut program = Program::new(child);
    let (code, stdout) = program.end();
    Ended { code, stdout, stderr: stderr.recv_timeout(PATIENCE).unwrap() }
}

/// A program, killed in the end if it still runs.
struct Program {
    child: Child,
    stdout: Receiver<String>,
}

impl Program {
    fn new(mut child: Child) -> Self {
        let stdout = read_all(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Waits for the program to end. Gives its exit code, and what it printed to its standard
    /// output, which it does not close before.
    fn end(&mut self) -> (Option<i32>, String) {
        let stdout = self.stdout.recv_timeout(PATIENCE).expect("the program ends");
        (self.child.wait().unwrap().code(), stdout)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that runs.
pub(crate) struct Server {
    program: Program,
    stderr: Option<BufReader<ChildStderr>>,
    /// The line that tells where it listens.
    pub(crate) announcement: String,
    /// The line that tells its limits.
    pub(crate) budget: String,
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::spawn(&mut ws_cli(&[&["--port", "0"], flags].concat()))
    }

    /// Starts a server by this command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stderr = Some(BufReader::new(child.stderr.take().unwrap()));
        let mut server = Self {
            program: Program::new(child),
            stderr,
            announcement: String::new(),
            budget: String::new(),
            port: 0,
        };
        server.announcement = server.next_line();
        server.port = port(&server.announcement);
        server.budget = server.next_line();
        assert!(server.budget.contains("ws-cli keeps at most "), "{}", server.budget);
        server
    }

    /// Starts a server by this command with a standard error that the test reads for itself;
    /// `first_line` waits for its first line.
    pub(crate) fn spawn_into(
        command: &mut Command,
        stderr: impl Into<Stdio>,
        first_line: impl FnOnce() -> String,
    ) -> Self {
        let child = command.stdin(Stdio::null()).stderr(stderr).stdout(Stdio::piped()).spawn().unwrap();
        // The command has a copy of the standard error, which would keep it open.
        command.stderr(Stdio::null());
        let program = Program::new(child);
        let announcement = first_line();
        let port = port(&announcement);
        Self { program, stderr: None, announcement, budget: String::new(), port }
    }

    /// The next line of its standard error.
    pub(crate) fn next_line(&mut self) -> String {
        self.lines_until(|_| true).remove(0)
    }

    /// The lines of its standard error from the next one to that which is `last`.
    pub(crate) fn lines_until(&mut self, last: impl Fn(&str) -> bool + Send + 'static) -> Vec<String> {
        let mut stderr = self.stderr.take().unwrap();
        let (sender, found) = channel();
        thread::spawn(move || {
            let mut lines = Vec::new();
            while !lines.last().is_some_and(|line: &String| last(line)) {
                let mut line = String::new();
                stderr.read_line(&mut line).unwrap();
                assert!(line.ends_with('\n'), "the standard error ends: {lines:#?}{line}");
                lines.push(line.trim_end_matches('\n').to_owned());
            }
            // The pipe goes with it: what follows the lines is for the test to read, or to close.
            let _ = sender.send((lines, stderr));
        });
        let (lines, stderr) = found.recv_timeout(PATIENCE).expect("a line on the standard error");
        self.stderr = Some(stderr);
        lines
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.child.id()
    }

    /// Closes the reading end of its standard error.
    pub(crate) fn close_stderr(&mut self) {
        self.stderr = None;
    }

    /// Sends it a signal: `INT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for its end. Gives its exit code, and what it printed to its standard error since the
    /// announcement.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let stderr = self.stderr.take().map(read_all);
        let (code, stdout) = self.program.end();
        assert_eq!(stdout, "");
        (code, stderr.map_or_else(String::new, |stderr| stderr.recv_timeout(PATIENCE).unwrap()))
    }

    /// A connection over TCP.
    pub(crate) fn connect(&self) -> TcpStream {
        self.connect_to("127.0.0.1")
    }

    /// A connection over TCP to this address.
    pub(crate) fn connect_to(&self, ip: &str) -> TcpStream {
        connect(SocketAddr::new(ip.parse().unwrap(), self.port))
    }

    /// Everything that the server answers to this request, up to the end of the connection.
    pub(crate) fn http(&self, request: &str) -> String {
        http(self.connect(), request)
    }

    /// An open WebSocket connection.
    pub(crate) fn open(&self) -> Client {
        Client::open(self.connect(), "")
    }
}

/// A connection over TCP to this address.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that is answered to this request, up to the end of the connection.
pub(crate) fn http(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// The last port that a line tells.
pub(crate) fn port(line: &str) -> u16 {
    let digits = line.rsplit(':').next().and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"))
}

/// The client's end of a WebSocket connection.
pub(crate) struct Client {
    stream: TcpStream,
    /// The head of the server's answer.
    pub(crate) response: String,
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV1-3 and the opcode.
    pub(crate) first_byte: u8,
    pub(crate) payload: Vec<u8>,
}

impl Client {
    /// Opens a connection, with more header lines if there are any.
    pub(crate) fn open(stream: TcpStream, header_lines: &str) -> Self {
        Self::open_with(stream, &upgrade_request(header_lines))
    }

    /// Opens a connection by this request.
    pub(crate) fn open_with(mut stream: TcpStream, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let response = String::from_utf8(head).unwrap();
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        Self { stream, response }
    }

    /// Sends a frame, masked, whose first byte is this.
    pub(crate) fn send(&mut self, first_byte: u8, payload: &[u8]) {
        const MASKING_KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
        let mut frame = vec![first_byte];
        match payload.len() {
            len @ ..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
            len @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        frame.extend(MASKING_KEY);
        frame.extend(payload.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.send_raw(&frame).unwrap();
    }

    /// Sends these bytes, unless the server has ended the connection.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Its own address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// The next frame.
    pub(crate) fn receive(&mut self) -> Frame {
        let mut header = [0; 2];
        self.stream.read_exact(&mut header).unwrap();
        let [first_byte, len] = header;
        let len = match len {
            126 => self.receive_len(2),
            127 => self.receive_len(8),
            len => len.into(),
        };
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).unwrap();
        Frame { first_byte, payload }
    }

    /// Whether the connection ends here, without another byte.
    pub(crate) fn ends(&mut self) -> bool {
        // A reset is an end, too.
        !matches!(self.stream.read(&mut [0]), Ok(1..))
    }

    fn receive_len(&mut self, bytes: usize) -> usize {
        let mut len = [0; 8];
        self.stream.read_exact(&mut len[8 - bytes..]).unwrap();
        u64::from_be_bytes(len).try_into().unwrap()
    }
}

/// The opening handshake of RFC 6455 §1.3, with more header lines, each with its CR LF.
pub(crate) fn upgrade_request(header_lines: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{header_lines}\r\n"
    )
}

fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WSCLI_") {
            command.env_remove(name);
        }
    }
    command.env("COLUMNS", "80").env("RUST_BACKTRACE", "1").env_remove("CLICOLOR_FORCE");
}

/// Reads to the end in a thread of its own, so that the program never waits for its reader.
fn read_all(mut source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        source.read_to_string(&mut text).unwrap();
        // The test may have failed by now, and nobody wait for it.
        let _ = sender.send(text);
    });
    receiver
}
