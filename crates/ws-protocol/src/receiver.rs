//! The receiving half: bytes into whole frames and messages, wherever they are cut (RFC 6455 §5, §6.2).

use crate::{
    Input, Message, MessageLimits, ProtocolError, Role,
    assembly::{self, Assembly},
    deflate::{CodecPool, Inflation},
};
use alloc::boxed::Box;
use ws_frame::{FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MAX_HEADER_LEN, Masker, Opcode, from_utf8};

/// Between two calls it keeps what was cut, and nothing else: up to 13 bytes of a header, the part of a control
/// frame's payload, the part of a message.
#[derive(Debug)]
pub(crate) struct Receiver {
    limits: MessageLimits,
    state: State,
    /// How compressed messages are received, if that was agreed.
    inflation: Option<Box<Inflation>>,
    cut_header: [u8; MAX_HEADER_LEN - 1],
    cut_header_len: u8,
    /// Boxed, like the next, as an idle connection has neither.
    message: Option<Box<Assembly>>,
    control: Option<Box<CutControl>>,
    /// Which of `message` and `control` was lent by the last call, and is to be let go by the next.
    lent: Lent,
}

#[derive(Debug)]
enum State {
    /// At the start of a frame, or within its header.
    Header,
    /// Within the payload of a frame.
    Payload { opcode: Opcode, is_final: bool, masker: Option<Masker>, remaining: u64 },
    /// A close frame was received, or the connection has failed: nothing is parsed any more.
    Ended,
}

/// The payload of a control frame, as far as it has come.
#[derive(Debug)]
struct CutControl {
    payload: [u8; MAX_CONTROL_PAYLOAD_LEN],
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lent {
    Nothing,
    Message,
    Control,
}

/// Something whole. Data and control frames that came in one piece are where they came.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Message(Message<'a>),
    /// A close, ping or pong.
    Control(Opcode, &'a [u8]),
}

/// Where something whole is. (It is found in a loop; a borrow of it could not leave that loop.)
enum Found {
    /// The next bytes of the input, this many, masked with this key.
    InInput(Opcode, Option<[u8; 4]>, u64),
    Message,
    Control(Opcode),
}

impl Receiver {
    pub(crate) const fn new(limits: MessageLimits) -> Self {
        Self {
            limits,
            state: State::Header,
            inflation: None,
            cut_header: [0; MAX_HEADER_LEN - 1],
            cut_header_len: 0,
            message: None,
            control: None,
            lent: Lent::Nothing,
        }
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_inflation(&mut self, inflation: Inflation) {
        self.inflation = Some(Box::new(inflation));
    }

    /// What it keeps for the peer, in bytes.
    pub(crate) fn held_len(&self) -> usize {
        self.message.as_ref().map_or(0, |message| size_of::<Assembly>() + message.held_len())
            + self.control.as_ref().map_or(0, |_| size_of::<CutControl>())
            + self.inflation.as_ref().map_or(0, |inflation| inflation.held_len())
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes the next whole message or control frame out of `input`. `None`: `input` is used up.
    #[inline]
    pub(crate) fn next<'a, R: Role>(
        &'a mut self,
        input: &'a mut Input<'_>,
        pool: &mut CodecPool,
    ) -> Result<Option<Received<'a>>, ProtocolError> {
        match core::mem::replace(&mut self.lent, Lent::Nothing) {
            Lent::Nothing => {}
            Lent::Message => self.message = None,
            Lent::Control => self.control = None,
        }
        if input.remaining().is_empty() {
            return Ok(None);
        }
        let found = match self.find_small::<R>(input) {
            Some(found) => Ok(Some(found)),
            None => self.find::<R>(input, pool),
        };
        // RFC 6455 §5.5.1, §7.1.7: nothing is parsed after a close frame or a failure.
        if matches!(
            found,
            Err(_) | Ok(Some(Found::InInput(Opcode::Close, ..) | Found::Control(Opcode::Close)))
        ) {
            self.end();
        }
        match found? {
            None => Ok(None),
            Some(Found::InInput(opcode, key, payload_len)) => {
                let payload = input.take(payload_len);
                if let Some(key) = key {
                    Masker::new(key).apply(payload);
                }
                match opcode {
                    // RFC 6455 §8.1: an endpoint that finds text not to be UTF-8 "MUST _Fail the WebSocket
                    // Connection_".
                    Opcode::Text => match from_utf8(payload) {
                        Ok(text) => Ok(Some(Received::Message(Message::Text(text)))),
                        Err(_) => {
                            self.end();
                            Err(ProtocolError::InvalidUtf8)
                        }
                    },
                    Opcode::Binary => Ok(Some(Received::Message(Message::Binary(payload)))),
                    control => Ok(Some(Received::Control(control, payload))),
                }
            }
            Some(Found::Message) => {
                self.lent = Lent::Message;
                Ok(self.message.as_ref().map(|assembly| Received::Message(assembly.message())))
            }
            Some(Found::Control(opcode)) => {
                self.lent = Lent::Control;
                Ok(self.control.as_ref().map(|control| Received::Control(opcode, control.as_bytes())))
            }
        }
    }

    /// Parses nothing from now on, and lets go of what was kept.
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
        self.message = None;
    }

    /// What most frames are, found with few instructions: a whole, masked message of up to 125 bytes. For anything else
    /// it gives `None`, and [`find`](Self::find) knows all the rules.
    #[inline]
    fn find_small<R: Role>(&self, input: &mut Input<'_>) -> Option<Found> {
        let &[first, second, a, b, c, d, ref rest @ ..] = input.remaining() else { return None };
        let opcode = match first {
            0x81 => Opcode::Text,
            0x82 => Opcode::Binary,
            _ => return None,
        };
        let payload_len = usize::from(second ^ 0x80);
        let may_begin =
            matches!(self.state, State::Header) && self.cut_header_len == 0 && self.message.is_none();
        if !R::PEER_MASKS || !may_begin || payload_len > 125 || payload_len > rest.len() {
            return None;
        }
        let max_len = self.limits.max_message_len;
        let len = assembly::check_len(payload_len as u64, 0, max_len, self.limits).ok()?;
        input.take(6);
        Some(Found::InInput(opcode, Some([a, b, c, d]), len as u64))
    }

    #[inline(never)]
    fn find<R: Role>(
        &mut self,
        input: &mut Input<'_>,
        pool: &mut CodecPool,
    ) -> Result<Option<Found>, ProtocolError> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some(header) = self.header(input)? else { return Ok(None) };
                    R::check_mask(&header)?;
                    let whole = header.payload_len() <= input.remaining().len() as u64;
                    self.check_order(&header)?;
                    if header.opcode().is_control() {
                        if whole {
                            return Ok(Some(Found::InInput(
                                header.opcode(),
                                header.masking_key(),
                                header.payload_len(),
                            )));
                        }
                    } else if whole && header.is_final() && self.message.is_none() && !header.rsv1() {
                        // RFC 6455 §5.6: the common case, a message in one frame: it is lent where it lies.
                        let max_len = self.limits.max_message_len;
                        assembly::check_len(header.payload_len(), 0, max_len, self.limits)?;
                        return Ok(Some(Found::InInput(
                            header.opcode(),
                            header.masking_key(),
                            header.payload_len(),
                        )));
                    } else {
                        let message = self.message.get_or_insert_with(|| Box::new(Assembly::new(&header)));
                        message.begin_frame(header.payload_len(), self.limits)?;
                    }
                    self.state = State::Payload {
                        opcode: header.opcode(),
                        is_final: header.is_final(),
                        masker: header.masking_key().map(Masker::new),
                        remaining: header.payload_len(),
                    };
                }
                State::Payload { opcode, is_final, masker, remaining } => {
                    let piece = input.take(*remaining);
                    *remaining -= piece.len() as u64;
                    if let Some(masker) = masker {
                        masker.apply(piece);
                    }
                    let (opcode, last, ended) = (*opcode, *is_final, *remaining == 0);
                    if opcode.is_control() {
                        self.control.get_or_insert_with(CutControl::boxed).push(piece);
                    } else if let Some(message) = &mut self.message {
                        match &mut self.inflation {
                            Some(inflation) if message.is_compressed() => {
                                inflation.inflate(piece, message, self.limits, pool)?;
                                if last && ended {
                                    inflation.finish(message, pool)?;
                                }
                            }
                            _ => message.push(piece, last, self.limits)?,
                        }
                    }
                    if !ended {
                        return Ok(None);
                    }
                    self.state = State::Header;
                    if opcode.is_control() {
                        return Ok(Some(Found::Control(opcode)));
                    }
                    if last {
                        if let Some(message) = &self.message {
                            message.finish()?;
                        }
                        return Ok(Some(Found::Message));
                    }
                }
                State::Ended => {
                    // RFC 6455 §5.5.1, §7.1.7: nothing that comes after a close frame, or after a failure, is read.
                    input.take(u64::MAX);
                    return Ok(None);
                }
            }
        }
    }

    /// Takes a header out of `input`, or keeps what there is of it.
    #[inline]
    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<FrameHeader>, ProtocolError> {
        if self.cut_header_len > 0 {
            return self.cut_header(input);
        }
        if let Some((header, header_len)) = FrameHeader::decode(input.remaining())? {
            input.take(header_len as u64);
            return Ok(Some(header));
        }
        self.cut_header(input)
    }

    /// Goes on with a header that is cut, byte by byte.
    #[cold]
    fn cut_header(&mut self, input: &mut Input<'_>) -> Result<Option<FrameHeader>, ProtocolError> {
        let mut bytes = [0; MAX_HEADER_LEN];
        let mut len = usize::from(self.cut_header_len);
        bytes[..len].copy_from_slice(&self.cut_header[..len]);
        while let [byte] = *input.take(1) {
            // A header of 14 bytes is whole, so `len` is under 14 here.
            bytes[len] = byte;
            len += 1;
            if let Some((header, _)) = FrameHeader::decode(&bytes[..len])? {
                self.cut_header_len = 0;
                return Ok(Some(header));
            }
        }
        self.cut_header[..len].copy_from_slice(&bytes[..len]);
        self.cut_header_len = u8::try_from(len).unwrap_or_default();
        Ok(None)
    }

    /// The rules for a header that depend on what came before it.
    #[inline]
    fn check_order(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        // RFC 6455 §5.2: RSV1 "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
        // RFC 7692 §6: it is set on the first frame of a compressed message, and on no other frame.
        let may_be_compressed =
            self.inflation.is_some() && matches!(header.opcode(), Opcode::Text | Opcode::Binary);
        if header.rsv1() && !may_be_compressed {
            return Err(ProtocolError::Rsv1);
        }
        match (header.opcode(), &self.message) {
            // RFC 6455 §5.4: a fragmented message is "a single frame with the FIN bit clear and an opcode other than 0,
            // followed by zero or more frames with the FIN bit clear and the opcode set to 0".
            (Opcode::Continuation, None) => Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::UnfinishedMessage),
            // RFC 6455 §5.4: "Control frames MAY be injected in the middle of a fragmented message."
            _ => Ok(()),
        }
    }
}

impl CutControl {
    fn boxed() -> Box<Self> {
        Box::new(Self { payload: [0; MAX_CONTROL_PAYLOAD_LEN], len: 0 })
    }

    /// Takes the next bytes. A header that was decoded announces no more than there is room for.
    fn push(&mut self, piece: &[u8]) {
        if let Some(room) = self.payload[self.len..].get_mut(..piece.len()) {
            room.copy_from_slice(piece);
            self.len += piece.len();
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.payload[..self.len]
    }
}
