//! A WebSocket client that waits: our own client role over a blocking socket.

use crate::Outcome;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ws_handshake::{ClientRequest, EMPTY_HEADER, HeadScanner, ResponseHead};
use ws_protocol::{CloseCode, CloseFrame, Event, Input, Limits, Message, Output, Protocol};

/// How long the other side may take for its part of a handshake.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Pictures that a browser sends are large.
const MAX_MESSAGE_SIZE: usize = 64 << 20;

const READ_LEN: usize = 16 * 1024;

type Role = ws_protocol::Client<fn() -> [u8; 4]>;

/// A connection after its opening handshake.
pub(crate) struct Client {
    stream: TcpStream,
    protocol: Protocol<Role>,
    /// Text messages that were received and not asked for yet.
    texts: VecDeque<String>,
}

impl Client {
    /// Does the opening handshake over a stream that is connected.
    pub(crate) fn upgrade(stream: TcpStream, host: &str, target: &str) -> Outcome<Self> {
        // A message is one write: waiting to join it with the next one only makes it late.
        stream.set_nodelay(true)?;
        let mut limits = Limits::default();
        limits.max_message_size = MAX_MESSAGE_SIZE;
        let mut client =
            Self { stream, protocol: Protocol::client(limits, masking_key), texts: VecDeque::new() };

        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let request = ClientRequest::new(host, target, nonce)?;
        let mut head = Vec::new();
        request.encode(&mut head);
        client.stream.write_all(&head)?;
        head.clear();
        let deadline = Instant::now() + TIMEOUT;
        let mut scanner = HeadScanner::new();
        loop {
            let mut buffer = [0; READ_LEN];
            let bytes = client.read(&mut buffer, deadline)?.ok_or("the connection ended in its handshake")?;
            head.extend_from_slice(bytes);
            if let Some(len) = scanner.scan(&head, READ_LEN)? {
                let (head, frames) = head.split_at_mut(len);
                ResponseHead::parse(head, &mut [EMPTY_HEADER; 64])?.check(&request)?;
                client.take(frames)?;
                return Ok(client);
            }
        }
    }

    /// Sends a text message.
    pub(crate) fn send_text(&mut self, text: &str) -> Outcome {
        let mut out = Output::new();
        self.protocol.sender().send(Message::Text(text), &mut out)?;
        Ok(self.stream.write_all(out.as_bytes())?)
    }

    /// Waits for the next text message; messages of another kind are passed over.
    pub(crate) fn receive_text(&mut self, deadline: Instant) -> Outcome<String> {
        loop {
            if let Some(text) = self.texts.pop_front() {
                return Ok(text);
            }
            let mut buffer = [0; READ_LEN];
            let bytes = self.read(&mut buffer, deadline)?.ok_or("the connection has ended")?;
            self.take(bytes)?;
        }
    }

    /// Does the closing handshake, and waits until the server has ended the connection.
    pub(crate) fn close(mut self) -> Outcome {
        let mut out = Output::new();
        self.protocol.sender().close(CloseFrame { code: CloseCode::NORMAL, reason: "" }, &mut out)?;
        self.stream.write_all(out.as_bytes())?;
        let deadline = Instant::now() + TIMEOUT;
        let mut buffer = [0; READ_LEN];
        while let Some(bytes) = self.read(&mut buffer, deadline)? {
            self.take(bytes)?;
        }
        match self.protocol.receive_eof() {
            CloseCode::NORMAL => Ok(()),
            code => Err(format!("closed with {} in answer to 1000", code.value()).into()),
        }
    }

    /// What comes next; `None` at the end of the stream.
    fn read<'b>(&mut self, buffer: &'b mut [u8], deadline: Instant) -> Outcome<Option<&'b mut [u8]>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("no answer in time".into());
        }
        self.stream.set_read_timeout(Some(left))?;
        match self.stream.read(buffer) {
            Ok(0) => Ok(None),
            Ok(len) => Ok(Some(&mut buffer[..len])),
            // How a timeout is reported depends on the platform.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err("no answer in time".into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands bytes to the protocol, and sends what it answers.
    fn take(&mut self, bytes: &mut [u8]) -> Outcome {
        let mut input = Input::new(bytes);
        let mut out = Output::new();
        while let Some((event, _)) = self.protocol.receive(&mut input, &mut out)? {
            if let Event::Message(Message::Text(text)) = event {
                self.texts.push_back(text.to_owned());
            }
        }
        Ok(self.stream.write_all(out.as_bytes())?)
    }
}

/// RFC 6455 §5.3: "derived from a strong source of entropy".
fn masking_key() -> [u8; 4] {
    getrandom::u32().expect("the system has random numbers").to_ne_bytes()
}
