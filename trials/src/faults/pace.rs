//! Clients that make progress, however slowly, and a server that was stopped meanwhile.

use super::report::Findings;
use super::trial::Trial;
use crate::Outcome;
use crate::programs::poll;
use crate::raw::{self, BINARY, PING, REQUEST, TEXT};
use crate::server::Server;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The largest message as shipped: far more than the kernel's buffers on both sides hold.
const MESSAGE_LEN: usize = 16 << 20;

/// The receive buffer of a slow client, so that its window is as slow as it is.
const RECEIVE_BUFFER_LEN: usize = 64 << 10;

/// A first byte and a length of 64 bits, as the server sends them before such a message.
const HEADER_LEN: usize = 10;

/// Two clients read 16 MiB at 100 KiB/s, four times as long as each deadline; one has sent its Close before.
pub(super) fn slow_steady_reader(program: &Path) -> Outcome<Findings> {
    const RATE: usize = 100 << 10;
    const STEP: Duration = Duration::from_millis(100);
    const DURATION: Duration = Duration::from_secs(12);
    let flags =
        ["--write-timeout", "3s", "--idle-timeout", "1s", "--pong-timeout", "2s", "--close-timeout", "3s"];

    let mut trial = Trial::start(program, &flags)?;
    let message = raw::frame(BINARY, &vec![0x5a; MESSAGE_LEN]);
    let mut readers = Vec::new();
    for closes in [false, true] {
        let socket =
            raw::connect_with(trial.server.port(), |socket| socket.set_recv_buffer_size(RECEIVE_BUFFER_LEN))?;
        let mut stream = raw::upgrade(socket)?;
        stream.write_all(&message)?;
        if closes {
            stream.write_all(&raw::close(1000))?;
        }
        readers.push((closes, stream, 0));
    }
    let start = Instant::now();
    let mut buffer = vec![0; RATE / 10];
    while start.elapsed() < DURATION {
        for (_, stream, received_len) in &mut readers {
            // The end of a connection shows below.
            *received_len += stream.read(&mut buffer).unwrap_or(0);
        }
        thread::sleep(STEP);
    }
    for (closes, mut stream, slowly) in readers {
        let name = if closes { "the reader that has closed" } else { "the other reader" };
        let rest = read_up_to(&mut stream, HEADER_LEN + MESSAGE_LEN - slowly)?;
        let all = slowly + rest == HEADER_LEN + MESSAGE_LEN;
        trial.demand(
            all && slowly < MESSAGE_LEN / 8,
            format!(
                "{name} got {} KiB in {} s, and {} KiB in all",
                slowly >> 10,
                DURATION.as_secs(),
                (slowly + rest) >> 10
            ),
        );
        if !closes && all {
            stream.write_all(&raw::close(1000))?;
        }
        let code = raw::close_code(&mut stream)?;
        trial.demand(
            code == Some(1000),
            format!("then {}", code.map_or("no close".into(), |it| it.to_string())),
        );
    }
    // The lines of the two may follow their ends.
    let mut orderly = 0;
    let _ = poll(Duration::from_secs(5), "no lines", || {
        let is_whole = |line: &&String| {
            let has = |text: &str| line.contains(text);
            has(" close ")
                && has(" code=1000 ")
                && has(&format!(" bytes_out={MESSAGE_LEN}"))
                && !has(" error=")
        };
        orderly += trial.server.lines().iter().filter(is_whole).count();
        Ok((orderly >= 2).then_some(()))
    });
    trial.demand(orderly == 2, format!("{orderly} of 2 are logged as closed with 1000, with all bytes sent"));
    trial.demand_echoes_within(Duration::from_millis(50));
    trial.finish()
}

/// SIGSTOP for three times as long as each deadline, and SIGCONT.
pub(super) fn stop_and_resume(program: &Path) -> Outcome<Findings> {
    const CLIENTS: usize = 100;
    const STOPPED: Duration = Duration::from_secs(6);
    const FLAGS: [&str; 10] = [
        "--workers",
        "1",
        "--handshake-timeout",
        "2s",
        "--idle-timeout",
        "2s",
        "--pong-timeout",
        "2s",
        "--write-timeout",
        "2s",
    ];

    let server = Server::start(program, &FLAGS)?;
    let port = server.port();
    let mut findings = Findings { before: Some(server.usage()?), ..Findings::default() };
    let mut talkers = (0..CLIENTS).map(|_| raw::open(port)).collect::<Outcome<Vec<_>>>()?;
    for talker in &mut talkers {
        let ping = raw::next_frame(talker)?.0;
        if ping != PING {
            return Err(format!("an idle client gets a frame that begins with {ping:#x}").into());
        }
    }
    // These have a ping to answer, too, and leave it until the server is back.
    let mut silent = (0..CLIENTS).map(|_| raw::open(port)).collect::<Outcome<Vec<_>>>()?;
    let mut half = raw::connect(port)?;
    let (first, rest) = REQUEST.as_bytes().split_at(REQUEST.len() / 2);
    half.write_all(first)?;
    let mut reader = raw::open(port)?;
    reader.write_all(&raw::frame(BINARY, &vec![0x5a; MESSAGE_LEN]))?;

    // It is stopped while it waits: a signal ends the wait, and what that has brought is old.
    thread::sleep(Duration::from_millis(200));
    server.signal("STOP")?;
    for talker in &mut talkers {
        talker.write_all(&raw::frame(0x8a, b""))?;
        talker.write_all(&raw::frame(TEXT, b"hi"))?;
    }
    half.write_all(rest)?;
    let slowly = drain(&mut reader)?;
    thread::sleep(STOPPED);
    server.signal("CONT")?;

    let echoes = talkers.iter_mut().filter_map(|talker| raw::next_frame(talker).ok());
    let echoes = echoes.filter(|frame| *frame == (TEXT, b"hi".to_vec())).count();
    findings.demand(
        echoes == CLIENTS,
        format!("{echoes} of {CLIENTS} clients that answered while the server was stopped go on"),
    );
    let mut went_on = 0;
    for client in &mut silent {
        // It has been idle for long, so a ping comes first, and its answer must still count.
        let is_pinged = raw::next_frame(client).is_ok_and(|(first, _)| first == PING);
        client.write_all(&raw::frame(0x8a, b""))?;
        client.write_all(&raw::frame(TEXT, b"hi"))?;
        let mut next = raw::next_frame(client);
        while next.as_ref().is_ok_and(|(first, _)| *first == PING) {
            next = raw::next_frame(client);
        }
        went_on += usize::from(is_pinged && next.is_ok_and(|(first, _)| first == TEXT));
    }
    findings.demand(went_on == CLIENTS, format!("{went_on} of {CLIENTS} silent clients go on"));
    let opened = raw::upgrade_with(half, b"");
    findings.demand(opened.is_ok(), "a request that became whole meanwhile is answered with 101");
    let rest = read_up_to(&mut reader, HEADER_LEN + MESSAGE_LEN - slowly)?;
    findings.demand(
        slowly + rest == HEADER_LEN + MESSAGE_LEN,
        format!(
            "{} of {} KiB reached a client that made room meanwhile",
            (slowly + rest) >> 10,
            MESSAGE_LEN >> 10
        ),
    );
    drop((talkers, silent, opened, reader));
    findings.after = Some(server.usage()?);
    server.end()?;
    Ok(findings)
}

/// Reads what has come, until nothing comes for half a second.
fn drain(stream: &mut TcpStream) -> io::Result<usize> {
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut len = 0;
    let mut buffer = vec![0; 1 << 20];
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => len += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break Ok(len);
            }
            Err(error) => break Err(error),
        }
    };
    stream.set_read_timeout(Some(raw::TIMEOUT))?;
    end
}

/// Reads so many bytes, or fewer if the connection ends before.
fn read_up_to(stream: &mut TcpStream, len: usize) -> Outcome<usize> {
    let mut bytes = Vec::new();
    match stream.take(len as u64).read_to_end(&mut bytes) {
        Err(error) if !raw::has_ended(&error) => Err(error.into()),
        _ => Ok(bytes.len()),
    }
}
