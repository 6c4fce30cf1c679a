//! The sending half: messages and control frames into bytes (RFC 6455 §6.1).

use crate::{Message, Role, SendError, Server};
use alloc::vec::Vec;
use ws_frame::{CloseFrame, FrameHeader, Masker, Opcode};

/// The sending half of a connection. Everything it sends is appended to the `out` that it is given, and is the
/// caller's to write to the socket, in order.
#[derive(Debug)]
pub struct Sender<R> {
    role: R,
    close_sent: bool,
    /// Some fragments of a message of this kind were sent, and not the last.
    unfinished: Option<Opcode>,
}

impl<R: Role> Sender<R> {
    pub(crate) const fn new(role: R) -> Self {
        Self { role, close_sent: false, unfinished: None }
    }

    /// Sends a message in one frame (§5.6).
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::UnfinishedMessage`] inside a fragmented message.
    #[inline]
    pub fn send(&mut self, message: Message<'_>, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_new_message()?;
        let header = header_of(message, opcode_of(message))?;
        self.frame(header, message.as_bytes(), out);
        Ok(())
    }

    /// Sends a message in several frames (§5.4), each call a fragment; `last` ends the message. The fragments of one
    /// message are of one kind: the first decides it, and text is cut between characters.
    ///
    /// Nothing but control frames can be sent until the last fragment.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::MixedFragments`] for a fragment of another kind than the
    /// first.
    pub fn send_fragment(
        &mut self,
        message: Message<'_>,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.close_sent {
            return Err(SendError::Closing);
        }
        let kind = opcode_of(message);
        let opcode = match self.unfinished {
            None => kind,
            // RFC 6455 §5.6: "Note that a particular text frame might include a partial UTF-8 sequence; however, the
            // whole message MUST contain valid UTF-8." Binary fragments could break that.
            Some(first) if first != kind => return Err(SendError::MixedFragments),
            Some(_) => Opcode::Continuation,
        };
        let mut header = header_of(message, opcode)?;
        if !last {
            header = header.not_final()?;
        }
        self.unfinished = (!last).then_some(kind);
        self.frame(header, message.as_bytes(), out);
        Ok(())
    }

    /// Sends a ping (§5.5.2); its answer comes as [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::Frame`] for over 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload, out)
    }

    /// Sends a pong that nobody asked for, a one-way heartbeat (§5.5.3). Pings are answered without it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::Frame`] for over 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload, out)
    }

    /// Starts the closing handshake (§7.1.2): nothing can be sent after it, and the peer is expected to answer.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::CloseFrame`] for a code that is not for the wire or a
    /// reason of over 123 bytes.
    pub fn close(&mut self, frame: CloseFrame<'_>, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.control(Opcode::Close, frame.encode()?.as_ref(), out)?;
        self.close_sent = true;
        Ok(())
    }

    /// Whether messages can still be sent: no close frame has been.
    #[inline]
    pub const fn is_open(&self) -> bool {
        !self.close_sent
    }

    /// Answers a ping, also between our close frame and the peer's.
    pub(crate) fn answer_ping(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if let Ok(header) = FrameHeader::new(Opcode::Pong, payload.len() as u64) {
            self.frame(header, payload, out);
        }
    }

    #[inline]
    fn check_new_message(&self) -> Result<(), SendError> {
        // RFC 6455 §5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
        if self.close_sent {
            return Err(SendError::Closing);
        }
        // RFC 6455 §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another
        // message unless an extension has been negotiated that can interpret the interleaving."
        if self.unfinished.is_some() {
            return Err(SendError::UnfinishedMessage);
        }
        Ok(())
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        if self.close_sent {
            return Err(SendError::Closing);
        }
        let header = FrameHeader::new(opcode, payload.len() as u64)?;
        self.frame(header, payload, out);
        Ok(())
    }

    #[inline]
    fn frame(&mut self, header: FrameHeader, payload: &[u8], out: &mut Vec<u8>) {
        // RFC 6455 §5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
        if let Some(key) = self.role.next_masking_key() {
            out.extend_from_slice(header.masked(key).encode().as_ref());
            let start = out.len();
            out.extend_from_slice(payload);
            Masker::new(key).apply(&mut out[start..]);
        } else {
            out.extend_from_slice(header.encode().as_ref());
            out.extend_from_slice(payload);
        }
    }
}

impl Sender<Server> {
    /// Sends a message that was encoded beforehand, for many connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_prepared(&mut self, message: &PreparedMessage, out: &mut Vec<u8>) -> Result<(), SendError> {
        self.check_new_message()?;
        out.extend_from_slice(&message.frame);
        Ok(())
    }
}

/// A message encoded once, to be sent by a server to many. A client cannot have that: it masks each frame anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedMessage {
    frame: Vec<u8>,
}

impl PreparedMessage {
    /// Encodes the message.
    pub fn new(message: Message<'_>) -> Self {
        let mut frame = Vec::new();
        if let Ok(header) = header_of(message, opcode_of(message)) {
            Sender::new(Server).frame(header, message.as_bytes(), &mut frame);
        }
        Self { frame }
    }

    /// How many bytes it is on the wire.
    pub const fn encoded_len(&self) -> usize {
        self.frame.len()
    }
}

#[inline]
const fn opcode_of(message: Message<'_>) -> Opcode {
    match message {
        Message::Text(_) => Opcode::Text,
        Message::Binary(_) => Opcode::Binary,
    }
}

#[inline]
fn header_of(message: Message<'_>, opcode: Opcode) -> Result<FrameHeader, SendError> {
    Ok(FrameHeader::new(opcode, message.as_bytes().len() as u64)?)
}
