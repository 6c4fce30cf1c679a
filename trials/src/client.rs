//! A WebSocket client that waits: our own client role over a blocking socket.

use crate::Outcome;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ws_handshake::{ClientRequest, DeflateConfig, DeflateParams, EMPTY_HEADER, HeadScanner, ResponseHead};
use ws_protocol::{
    CloseCode, CloseFrame, Event, Input, Message, MessageLimits, Output, Protocol, WindowBits,
};

/// How long the other side may take for its part of a handshake, and to take what it is sent.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Pictures that a browser sends are large.
const MAX_MESSAGE_SIZE: usize = 64 << 20;

const READ_LEN: usize = 16 * 1024;

type Role = ws_protocol::ClientRole<fn() -> [u8; 4]>;

/// What a client asks for, beside the connection.
#[derive(Default)]
pub(crate) struct Offer<'a> {
    /// Subprotocols, the one that it likes best first.
    pub(crate) subprotocols: &'a [&'a str],
    /// permessage-deflate.
    pub(crate) deflate: Option<DeflateConfig>,
}

/// A connection after its opening handshake.
pub(crate) struct Client {
    stream: TcpStream,
    protocol: Protocol<Role>,
    out: Output,
    subprotocol: Option<String>,
    deflate: Option<DeflateParams>,
    /// How many bytes have come over the connection.
    received_len: usize,
    /// What was received and not asked for yet.
    received: VecDeque<Received>,
}

/// What a client waits for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
}

impl Client {
    /// Does the opening handshake over a stream that is connected.
    pub(crate) fn upgrade(stream: TcpStream, host: &str, target: &str, offer: &Offer<'_>) -> Outcome<Self> {
        // A message is one write: waiting to join it with the next one only makes it late.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut client = Self {
            stream,
            protocol: protocol(),
            out: Output::new(),
            subprotocol: None,
            deflate: None,
            received_len: 0,
            received: VecDeque::new(),
        };

        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let extensions = offer.deflate.map(|deflate| deflate.offer());
        let mut request = ClientRequest::new(host, target, nonce)?.with_subprotocols(offer.subprotocols)?;
        if let Some(extensions) = &extensions {
            request = request.with_extensions(extensions)?;
        }
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
                let mut headers = [EMPTY_HEADER; 64];
                let established = ResponseHead::parse(head, &mut headers)?.check(&request)?;
                client.subprotocol = established.subprotocol().map(str::to_owned);
                if let Some(deflate) = offer.deflate {
                    client.deflate = deflate.check(&established)?;
                }
                if let Some(params) = &client.deflate {
                    client.protocol = protocol().with_deflate(&transformation(params));
                }
                client.take(frames)?;
                return Ok(client);
            }
        }
    }

    /// The subprotocol that the server has chosen.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// What was agreed on permessage-deflate.
    pub(crate) fn deflate(&self) -> Option<&DeflateParams> {
        self.deflate.as_ref()
    }

    /// How many bytes have come over the connection so far, its handshake among them.
    pub(crate) fn received_len(&self) -> usize {
        self.received_len
    }

    /// Sends a message in one frame.
    pub(crate) fn send(&mut self, message: Message<'_>) -> Outcome {
        self.protocol.sender().send(message, &mut self.out)?;
        self.flush()
    }

    /// Sends a text message in one frame.
    pub(crate) fn send_text(&mut self, text: &str) -> Outcome {
        self.send(Message::Text(text))
    }

    /// Sends a message in these fragments.
    pub(crate) fn send_fragments(&mut self, fragments: &[Message<'_>]) -> Outcome {
        for (index, fragment) in (1..).zip(fragments) {
            self.protocol.sender().send_fragment(*fragment, index == fragments.len(), &mut self.out)?;
        }
        self.flush()
    }

    /// Sends a ping.
    pub(crate) fn ping(&mut self, payload: &[u8]) -> Outcome {
        self.protocol.sender().ping(payload, &mut self.out)?;
        self.flush()
    }

    /// Waits for the next message or pong.
    pub(crate) fn receive(&mut self, deadline: Instant) -> Outcome<Received> {
        let mut buffer = [0; READ_LEN];
        loop {
            if let Some(received) = self.received.pop_front() {
                return Ok(received);
            }
            let bytes = self.read(&mut buffer, deadline)?.ok_or("the connection has ended")?;
            self.take(bytes)?;
        }
    }

    /// Waits for the next text message; what is something else is passed over.
    pub(crate) fn receive_text(&mut self, deadline: Instant) -> Outcome<String> {
        loop {
            if let Received::Text(text) = self.receive(deadline)? {
                return Ok(text);
            }
        }
    }

    /// Does the closing handshake, and waits until the server has ended the connection.
    pub(crate) fn close(mut self, code: CloseCode) -> Outcome {
        self.protocol.sender().close(CloseFrame { code, reason: "" }, &mut self.out)?;
        self.flush()?;
        let answer = self.wait_for_close()?;
        if answer == code {
            Ok(())
        } else {
            Err(format!("closed with {} in answer to {}", answer.value(), code.value()).into())
        }
    }

    /// Waits until the server has ended the connection, and gives the code that it has ended with.
    pub(crate) fn wait_for_close(mut self) -> Outcome<CloseCode> {
        let deadline = Instant::now() + TIMEOUT;
        let mut buffer = [0; READ_LEN];
        while let Some(bytes) = self.read(&mut buffer, deadline)? {
            self.take(bytes)?;
        }
        Ok(self.protocol.receive_eof())
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
            Ok(len) => {
                self.received_len += len;
                Ok(Some(&mut buffer[..len]))
            }
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
        let result = loop {
            match self.protocol.receive(&mut input, &mut self.out) {
                Ok(Some((event, _))) => self.received.extend(match event {
                    Event::Message(Message::Text(text)) => Some(Received::Text(text.to_owned())),
                    Event::Message(Message::Binary(bytes)) => Some(Received::Binary(bytes.to_owned())),
                    Event::Pong(payload) => Some(Received::Pong(payload.to_owned())),
                    _ => None,
                }),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.flush()?;
        Ok(result?)
    }

    fn flush(&mut self) -> Outcome {
        self.stream.write_all(self.out.as_bytes())?;
        self.out.clear();
        Ok(())
    }
}

fn protocol() -> Protocol<Role> {
    let mut limits = MessageLimits::default();
    limits.max_message_len = MAX_MESSAGE_SIZE;
    Protocol::client(limits, masking_key)
}

/// What was agreed, as the client's side of the connection sees it.
fn transformation(params: &DeflateParams) -> ws_protocol::DeflateConfig {
    let window_bits = |bits: ws_handshake::WindowBits| WindowBits::new(bits.get()).expect("from 8 to 15");
    let mut config = ws_protocol::DeflateConfig::default();
    config.send_context_takeover = !params.client_no_context_takeover();
    config.send_window_bits = window_bits(params.client_max_window_bits());
    config.receive_context_takeover = !params.server_no_context_takeover();
    config.receive_window_bits = window_bits(params.server_max_window_bits());
    config
}

/// RFC 6455 §5.3: "derived from a strong source of entropy".
fn masking_key() -> [u8; 4] {
    getrandom::u32().expect("the system has random numbers").to_ne_bytes()
}
