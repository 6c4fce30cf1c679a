//! A WebSocket client that waits: our own client role over a blocking socket.

use crate::Outcome;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ws_endpoint::{
    ClientEndpoint, ClientEvent, ClientRequest, ClientRole, CloseCode, CloseFrame, DeflateAgreement,
    DeflateOffer, EndpointConfig, Message, MessageLimits, Output, Sender,
};

/// How long the other side may take for its part of a handshake, and to take what it is sent.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Pictures that a browser sends are large.
const MAX_MESSAGE_LEN: usize = 64 << 20;

const READ_LEN: usize = 16 * 1024;

type MaskingKey = fn() -> [u8; 4];

/// What a client asks for, beside the connection.
#[derive(Default)]
pub(crate) struct Offer<'a> {
    /// Subprotocols, the one that it likes best first.
    pub(crate) subprotocols: &'a [&'a str],
    /// permessage-deflate.
    pub(crate) deflate: Option<DeflateOffer>,
}

/// A connection after its opening handshake.
pub(crate) struct Client {
    stream: TcpStream,
    endpoint: ClientEndpoint<MaskingKey>,
    out: Output,
    subprotocol: Option<String>,
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
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let mut out = Output::new();
        let config = EndpointConfig {
            messages: MessageLimits { max_message_len: MAX_MESSAGE_LEN, ..MessageLimits::default() },
            deflate: offer.deflate,
            ..EndpointConfig::default()
        };
        let request = ClientRequest::new(host, target, nonce)?.with_subprotocols(offer.subprotocols)?;
        let endpoint = ClientEndpoint::new(request, config, masking_key as MaskingKey, &mut out)?;
        let mut client =
            Self { stream, endpoint, out, subprotocol: None, received_len: 0, received: VecDeque::new() };
        client.flush()?;
        let deadline = Instant::now() + TIMEOUT;
        while !client.endpoint.is_open() && !client.endpoint.is_finished() {
            let mut buffer = [0; READ_LEN];
            let bytes = client.read(&mut buffer, deadline)?.ok_or("the connection ended in its handshake")?;
            client.take(bytes)?;
        }
        Ok(client)
    }

    /// The subprotocol that the server has chosen.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The agreement on permessage-deflate.
    pub(crate) fn deflate(&self) -> Option<&DeflateAgreement> {
        self.endpoint.deflate()
    }

    /// How many bytes have come over the connection so far, its handshake among them.
    pub(crate) fn received_len(&self) -> usize {
        self.received_len
    }

    /// Sends a message in one frame.
    pub(crate) fn send(&mut self, message: Message<'_>) -> Outcome {
        sender(&mut self.endpoint)?.send(message, &mut self.out)?;
        self.flush()
    }

    /// Sends a text message in one frame.
    pub(crate) fn send_text(&mut self, text: &str) -> Outcome {
        self.send(Message::Text(text))
    }

    /// Sends a message in these fragments.
    pub(crate) fn send_fragments(&mut self, fragments: &[Message<'_>]) -> Outcome {
        for (index, fragment) in (1..).zip(fragments) {
            sender(&mut self.endpoint)?.send_fragment(*fragment, index == fragments.len(), &mut self.out)?;
        }
        self.flush()
    }

    /// Sends a ping.
    pub(crate) fn ping(&mut self, payload: &[u8]) -> Outcome {
        sender(&mut self.endpoint)?.ping(payload, &mut self.out)?;
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
        sender(&mut self.endpoint)?.close(CloseFrame { code, reason: "" }, &mut self.out)?;
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
        Ok(self.endpoint.receive_eof())
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

    /// Hands bytes to the endpoint, and sends what it answers.
    fn take(&mut self, bytes: &mut [u8]) -> Outcome {
        let Self { endpoint, out, received, subprotocol, .. } = self;
        let result = endpoint.receive_all(bytes, out, |event, _| match event {
            ClientEvent::Open(established, _) => *subprotocol = established.subprotocol().map(str::to_owned),
            ClientEvent::Message(Message::Text(text), _) => {
                received.push_back(Received::Text(text.to_owned()));
            }
            ClientEvent::Message(Message::Binary(bytes), _) => {
                received.push_back(Received::Binary(bytes.to_owned()));
            }
            ClientEvent::Pong(payload) => received.push_back(Received::Pong(payload.to_owned())),
            _ => {}
        });
        self.flush()?;
        Ok(result?)
    }

    fn flush(&mut self) -> Outcome {
        self.stream.write_all(self.out.as_bytes())?;
        self.out.clear();
        Ok(())
    }
}

/// The sending half of a connection that is open.
fn sender(endpoint: &mut ClientEndpoint<MaskingKey>) -> Outcome<&mut Sender<ClientRole<MaskingKey>>> {
    endpoint.sender().ok_or_else(|| "the connection is not open".into())
}

/// RFC 6455 §5.3: "derived from a strong source of entropy".
fn masking_key() -> [u8; 4] {
    getrandom::u32().expect("the system has random numbers").to_ne_bytes()
}
