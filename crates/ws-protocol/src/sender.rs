//! The sending half: messages and control frames into bytes (RFC 6455 §6.1).

use crate::{Message, Output, Prepared, Role, SendError, ServerRole, deflate::Deflation};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use ws_frame::{CloseFrame, EncodedHeader, FrameHeader, MAX_HEADER_LEN, Masker, Opcode};

/// The sending half of a connection. Everything it sends is appended to the `out` that it is given, and is the
/// caller's to write to the socket, in order.
#[derive(Debug)]
pub struct Sender<R> {
    role: R,
    close_sent: bool,
    /// Some fragments of a message of this kind were sent, and not the last.
    unfinished: Option<Opcode>,
    /// How messages are compressed, if that was agreed.
    deflation: Option<Box<Deflation>>,
}

impl<R: Role> Sender<R> {
    pub(crate) const fn new(role: R) -> Self {
        Self { role, close_sent: false, unfinished: None, deflation: None }
    }

    /// Sends a message in one frame (§5.6), compressed where that was agreed and is worth it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::UnfinishedMessage`] inside a fragmented message,
    /// [`SendError::OutOfMemory`].
    #[inline]
    pub fn send(&mut self, message: Message<'_>, out: &mut Output) -> Result<(), SendError> {
        if self.is_compressed(message) {
            return self.send_compressed(message, out);
        }
        self.send_uncompressed(message, out)
    }

    /// Sends a message in one frame as it is, such as one that is compressed already, or that holds a secret beside
    /// something that an attacker has chosen (RFC 7692 §10.1).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_uncompressed(&mut self, message: Message<'_>, out: &mut Output) -> Result<(), SendError> {
        self.check_new_message()?;
        let header = header_of(opcode_of(message), message.as_bytes())?;
        self.frame(header, message.as_bytes(), out.buffer())
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
        out: &mut Output,
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
        let mut header = header_of(opcode, message.as_bytes())?;
        if !last {
            header = header.not_final()?;
        }
        self.frame(header, message.as_bytes(), out.buffer())?;
        self.unfinished = (!last).then_some(kind);
        Ok(())
    }

    /// Sends a ping (§5.5.2); its answer comes as [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::Frame`] for over 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload, out)
    }

    /// Sends a pong that nobody asked for, a one-way heartbeat (§5.5.3). Pings are answered without it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::Frame`] for over 125 bytes.
    pub fn pong(&mut self, payload: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload, out)
    }

    /// Starts the closing handshake (§7.1.2): nothing can be sent after it, and the peer is expected to answer.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] after a close frame, [`SendError::CloseFrame`] for a code that is not for the wire or a
    /// reason of over 123 bytes.
    pub fn close(&mut self, frame: CloseFrame<'_>, out: &mut Output) -> Result<(), SendError> {
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
    pub(crate) fn answer_ping(&mut self, payload: &[u8], out: &mut Output) {
        if let Ok(header) = FrameHeader::new(Opcode::Pong, payload.len() as u64) {
            let _ = self.frame(header, payload, out.buffer()); // without memory, the peer's next ping may be answered
        }
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflation(&mut self, deflation: Deflation) {
        self.deflation = Some(Box::new(deflation));
    }

    #[inline]
    fn is_compressed(&self, message: Message<'_>) -> bool {
        self.deflation.as_ref().is_some_and(|deflation| deflation.applies_to(message.as_bytes().len()))
    }

    fn send_compressed(&mut self, message: Message<'_>, out: &mut Output) -> Result<(), SendError> {
        self.check_new_message()?;
        let (buffer, pool) = out.parts();
        let compressed = match &mut self.deflation {
            Some(deflation) => deflation.compress(message.as_bytes(), pool),
            None => None,
        };
        let Some(payload) = compressed else { return self.send_uncompressed(message, out) };
        let header = header_of(opcode_of(message), payload)?;
        self.frame(header.with_rsv1(), payload, buffer).inspect_err(|_| {
            if let Some(deflation) = &mut self.deflation {
                deflation.forget();
            }
        })
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

    fn control(&mut self, opcode: Opcode, payload: &[u8], out: &mut Output) -> Result<(), SendError> {
        if self.close_sent {
            return Err(SendError::Closing);
        }
        let header = FrameHeader::new(opcode, payload.len() as u64)?;
        self.frame(header, payload, out.buffer())
    }

    #[inline]
    fn frame(&mut self, header: FrameHeader, payload: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        out.try_reserve(MAX_HEADER_LEN + payload.len())?;
        // RFC 6455 §5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
        if let Some(key) = self.role.next_masking_key() {
            out.extend_from_slice(header.masked(key).encode().as_ref());
            let start = out.len();
            out.extend_from_slice(payload);
            Masker::new(key).apply(&mut out[start..]);
        } else {
            match header.encode_short() {
                Some(bytes) => out.extend_from_slice(&bytes),
                None => out.extend_from_slice(header.encode().as_ref()),
            }
            out.extend_from_slice(payload);
        }
        Ok(())
    }
}

impl Sender<ServerRole> {
    /// Sends a message whose payload the caller writes by itself, right behind the header that this gives, so that a
    /// large one need not be copied. `None`: nothing is sent, as the message is to be compressed; see
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_header(&mut self, message: Message<'_>) -> Result<Option<EncodedHeader>, SendError> {
        self.check_new_message()?;
        if self.is_compressed(message) {
            return Ok(None);
        }
        // RFC 6455 §5.1: "A server MUST NOT mask any frames that it sends to the client."
        Ok(Some(header_of(opcode_of(message), message.as_bytes())?.encode()))
    }

    /// Sends a message that many recipients get.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_prepared(&mut self, prepared: &Prepared, out: &mut Output) -> Result<(), SendError> {
        let Some(frame) = self.prepared_frame(prepared, out)? else {
            return self.send(prepared.message(), out);
        };
        out.buffer().try_reserve(frame.len())?;
        out.buffer().extend_from_slice(frame);
        Ok(())
    }

    /// Sends a message that many recipients get, whose frame the caller writes by itself: all of them can
    /// share it. `None`: nothing is sent, as this connection has a compressor of its own, which remembers
    /// what it has sent, so that no other connection's frame is right for it; see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn prepared_frame<'p>(
        &mut self,
        prepared: &'p Prepared,
        out: &mut Output,
    ) -> Result<Option<&'p Arc<[u8]>>, SendError> {
        self.check_new_message()?;
        let len = prepared.len();
        let deflation = self.deflation.as_deref_mut().filter(|_| prepared.is_compressible());
        let Some(deflation) = deflation.filter(|deflation| deflation.applies_to(len)) else {
            return Ok(Some(prepared.plain()));
        };
        Ok(deflation.prepare(prepared, out.parts().1))
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
fn header_of(opcode: Opcode, payload: &[u8]) -> Result<FrameHeader, SendError> {
    Ok(FrameHeader::new(opcode, payload.len() as u64)?)
}
