//! The client's side of a connection.

#[cfg(feature = "deflate")]
use crate::DeflateAgreement;
use crate::{
    EndpointConfig, EndpointError,
    head::{Head, HeadError},
};
use ws_handshake::{ClientRequest, Established, ResponseHead, with_fields};
use ws_protocol::{ClientRole, CloseCode, CloseFrame, Event, Input, Message, Output, Protocol, Sender};

/// The client's side of a connection. `K` makes the masking keys.
///
/// # The contract
///
/// - Write `out` after [`new`](Self::new): it has the request.
/// - After each read, call [`receive`](Self::receive) until it returns `None` or fails, then write `out`
///   ([`receive_all`](Self::receive_all) is that loop). Messages can be sent from [`ClientEvent::Open`] on.
/// - At the end of the stream, call [`receive_eof`](Self::receive_eof).
/// - Give the server some seconds for its response. Once [`is_finished`](Self::is_finished) is true, leave the end of the
///   stream to the server (RFC 6455 §7.1.1), and wait for it no longer than some seconds.
#[derive(Debug)]
pub struct ClientEndpoint<K> {
    config: EndpointConfig,
    request: ClientRequest,
    head: Head,
    phase: Phase<K>,
    #[cfg(feature = "deflate")]
    agreement: Option<DeflateAgreement>,
}

#[derive(Debug)]
enum Phase<K> {
    Handshake(Option<K>),
    Open(Protocol<ClientRole<K>>),
    Ended,
}

/// An event on the client's side, lent until the next call of [`receive`](ClientEndpoint::receive).
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent<'a, K> {
    /// The connection is open, with this agreement. The sending half can be used from here.
    Open(Established<'a>, &'a mut Sender<ClientRole<K>>),
    /// A message, and the sending half, to answer it with.
    Message(Message<'a>, &'a mut Sender<ClientRole<K>>),
    /// A ping, which was answered.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer's close frame, which was answered.
    Close(CloseFrame<'a>),
}

impl<K: FnMut() -> [u8; 4]> ClientEndpoint<K> {
    /// Writes the request to `out`. If the settings offer permessage-deflate, the request does.
    ///
    /// `masking_key` makes a fresh, unpredictable key for each frame that is sent (RFC 6455 §5.3).
    ///
    /// # Errors
    ///
    /// [`EndpointError::Request`]; nothing is in `out`.
    pub fn new(
        request: ClientRequest,
        config: EndpointConfig,
        masking_key: K,
        out: &mut Output,
    ) -> Result<Self, EndpointError> {
        #[cfg(feature = "deflate")]
        let request = match config.deflate {
            Some(offer) => request.with_extensions(offer.offer())?,
            None => request,
        };
        request.encode(out.buffer());
        Ok(Self {
            config,
            request,
            head: Head::default(),
            phase: Phase::Handshake(Some(masking_key)),
            #[cfg(feature = "deflate")]
            agreement: None,
        })
    }

    /// Takes the next event out of `input`; `None`: `input` is used up.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]; nothing more will be received. After a response other than 101,
    /// [`response`](Self::response) has what came of it.
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut Input<'_>,
        out: &mut Output,
    ) -> Result<Option<ClientEvent<'a, K>>, EndpointError> {
        if let Phase::Handshake(masking_key) = &mut self.phase {
            let masking_key = masking_key.take();
            let is_whole = self.receive_head(input);
            let protocol = match (is_whole, masking_key) {
                (Ok(false), masking_key) => {
                    self.phase = Phase::Handshake(masking_key);
                    return Ok(None);
                }
                (Ok(true), Some(masking_key)) => self.open(masking_key),
                (Ok(true), None) => Err(HeadError::OutOfMemory.into()),
                (Err(error), _) => Err(error.into()),
            };
            self.phase = match protocol {
                Ok(protocol) => Phase::Open(protocol),
                Err(error) => {
                    self.phase = Phase::Ended;
                    let content = input.remaining();
                    let room = self.config.max_head_len.saturating_sub(self.head.received.len());
                    self.head.received.extend_from_slice(content.get(..room).unwrap_or(content));
                    input.split_off(usize::MAX);
                    return Err(error);
                }
            };
            let Self { head, request, phase, config, .. } = self;
            let established = with_fields(config.max_headers, |fields| {
                ResponseHead::parse(&head.received, fields)?.check(request)
            })?;
            return Ok(match phase {
                Phase::Open(protocol) => Some(ClientEvent::Open(established, protocol.sender())),
                Phase::Handshake(_) | Phase::Ended => None,
            });
        }
        let Phase::Open(protocol) = &mut self.phase else {
            input.split_off(usize::MAX);
            return Ok(None);
        };
        Ok(protocol.receive(input, out)?.map(|(event, sender)| match event {
            Event::Message(message) => ClientEvent::Message(message, sender),
            Event::Ping(payload) => ClientEvent::Ping(payload),
            Event::Close(frame) => ClientEvent::Close(frame),
            Event::Pong(payload) => ClientEvent::Pong(payload),
            _ => ClientEvent::Pong(&[]),
        }))
    }

    /// Calls `serve` with each event in `bytes`, which are all used up.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_all(
        &mut self,
        bytes: &mut [u8],
        out: &mut Output,
        mut serve: impl FnMut(ClientEvent<'_, K>, &mut Output),
    ) -> Result<(), EndpointError> {
        let mut input = Input::new(bytes);
        while let Some(event) = self.receive(&mut input, out)? {
            serve(event, out);
        }
        Ok(())
    }

    /// The stream ended, or broke: the code by which the application is to know the connection's end (RFC 6455 §7.1.5).
    pub fn receive_eof(&mut self) -> CloseCode {
        match &mut self.phase {
            Phase::Open(protocol) => protocol.receive_eof(),
            Phase::Handshake(_) | Phase::Ended => {
                self.phase = Phase::Ended;
                CloseCode::ABNORMAL
            }
        }
    }

    /// The head of the server's response, as far as it has come. The content that came with
    /// a refusal follows it, cut to the longest head.
    pub fn response(&self) -> &[u8] {
        &self.head.received
    }

    /// The agreement on permessage-deflate, once the connection is open; `None`: nothing is compressed.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<&DeflateAgreement> {
        self.agreement.as_ref()
    }

    /// The sending half, once the connection is open.
    pub fn sender(&mut self) -> Option<&mut Sender<ClientRole<K>>> {
        match &mut self.phase {
            Phase::Open(protocol) => Some(protocol.sender()),
            Phase::Handshake(_) | Phase::Ended => None,
        }
    }

    /// Whether the connection is open: the server has accepted the request.
    pub fn is_open(&self) -> bool {
        matches!(&self.phase, Phase::Open(protocol) if !protocol.is_finished())
    }

    /// Whether our close frame was sent, so that the server should end the connection soon.
    pub fn close_expected(&self) -> bool {
        matches!(&self.phase, Phase::Open(protocol) if protocol.close_expected())
    }

    /// Whether nothing will come of this connection any more.
    pub fn is_finished(&self) -> bool {
        match &self.phase {
            Phase::Open(protocol) => protocol.is_finished(),
            Phase::Handshake(_) => false,
            Phase::Ended => true,
        }
    }

    /// Takes bytes of the response's head, which is kept. `true`: it is whole.
    fn receive_head(&mut self, input: &mut Input<'_>) -> Result<bool, HeadError> {
        let Some(len) = self.head.find(input, self.config.max_head_len)? else { return Ok(false) };
        if self.head.received.is_empty() {
            // It came in one piece. It is kept, as what was agreed is lent from it.
            let head = input.split_off(len);
            self.head.received.try_reserve_exact(head.len()).map_err(|_| HeadError::OutOfMemory)?;
            self.head.received.extend_from_slice(head);
        } else {
            input.split_off(len);
        }
        Ok(true)
    }

    /// Checks the response, and opens the connection.
    fn open(&mut self, masking_key: K) -> Result<Protocol<ClientRole<K>>, EndpointError> {
        let protocol = Protocol::client(self.config.messages, masking_key);
        with_fields(self.config.max_headers, |fields| {
            let established = ResponseHead::parse(&self.head.received, fields)?.check(&self.request)?;
            #[cfg(feature = "deflate")]
            if let Some(offer) = self.config.deflate
                && let Some(agreement) = offer.check(&established)?
            {
                self.agreement = Some(agreement);
                return Ok(protocol.with_deflate(&agreement.as_client()));
            }
            drop(established);
            Ok(protocol)
        })
    }
}
