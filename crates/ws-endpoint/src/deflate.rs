//! The negotiation of permessage-deflate (RFC 7692 §5, §7), for both sides. It compresses nothing.
//!
//! ```text
//!   server    Upgrade     -> DeflateOffer::accept -> DeflateAgreement -> Accept::with_extensions
//!   client    ClientRequest::with_extensions <- DeflateOffer::offer
//!             Established -> DeflateOffer::check  -> DeflateAgreement
//! ```
//!
//! Names are compared as they are: `Permessage-Deflate` is another extension.

use alloc::string::{String, ToString};
use core::{fmt, mem};

use ws_handshake::{Established, Extension, Upgrade};
use ws_protocol::{DeflateConfig, WindowBits};

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window that the other side is asked to compress with. zlib, with which most compress, has no
/// raw stream with 8 bits: those that are asked for it fail the handshake, or use 9 bits and are not understood.
const MIN_ASKED: WindowBits = WindowBits::new(9).unwrap();

/// What this side wants of permessage-deflate, in either role.
///
/// By default neither side keeps its compression window from message to message, so that an idle connection
/// needs no memory for it, and neither is asked for a smaller window.
///
/// ```
/// # use ws_endpoint::DeflateOffer;
/// # use ws_handshake::{Accept, ClientRequest, EMPTY_HEADER, Request, ResponseHead};
/// # let nonce = *b"the sample nonce";
/// // The client offers,
/// let wanted = DeflateOffer::default();
/// let offer = wanted.offer();
/// let request = ClientRequest::new("server.example.com", "/chat", nonce)?.with_extensions(&offer)?;
/// # let (mut head, mut answer) = (Vec::new(), Vec::new());
/// # request.encode(&mut head);
/// # let mut headers = [EMPTY_HEADER; 16];
/// # let upgrade = Request::parse(&head, &mut headers)?.upgrade()?;
/// // the server accepts,
/// let agreement = DeflateOffer::default().accept(&upgrade);
/// let extensions = agreement.map(|agreement| agreement.to_string());
/// Accept::new().with_extensions(extensions.as_deref()).encode(&upgrade, &mut answer)?;
/// # let mut headers = [EMPTY_HEADER; 16];
/// # let established = ResponseHead::parse(&answer, &mut headers)?.check(&request)?;
/// // and the client checks that this is what it has offered.
/// assert_eq!(wanted.check(&established)?, agreement);
/// assert!(agreement.is_some_and(|agreement| !agreement.server_context_takeover()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    /// Whether the server's messages may refer to earlier ones; `false` by default.
    ///
    /// With `false`, a server starts each message with an empty window, asked or not, and a client asks for
    /// it: where that is agreed, the client keeps no window. With `true`, it is up to the other side.
    pub server_context_takeover: bool,
    /// Whether the client's messages may refer to earlier ones; `false` by default.
    ///
    /// With `false`, a client starts each message with an empty window, asked or not, and a server demands
    /// it: then the server keeps no window. With `true`, it is up to the other side.
    pub client_context_takeover: bool,
    /// The largest window that the server may compress with; [`WindowBits::MAX`] by default.
    ///
    /// Below that, a client asks the server for it, but not for less than 9 bits, which zlib cannot provide; and
    /// a server announces it to each client. There are clients that fail the connection if a server announces
    /// what they have not asked for.
    pub server_max_window_bits: WindowBits,
    /// The largest window that the client may compress with; [`WindowBits::MAX`] by default.
    ///
    /// Below that, a client announces it, and a server demands it of each client that says that it can do so, but
    /// not less than 9 bits, which zlib cannot provide; a client that says 8 by itself has them. One that does
    /// not say it is accepted all the same, and may use the largest window there is: see
    /// [`DeflateAgreement::client_max_window_bits`].
    pub client_max_window_bits: WindowBits,
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self {
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
        }
    }
}

impl DeflateOffer {
    /// For a server: accepts the first good offer of permessage-deflate, in the client's order of preference.
    /// What is agreed, as text, is the value for [`Accept::with_extensions`](ws_handshake::Accept::with_extensions).
    ///
    /// An offer with a parameter that is unknown, repeated, or has a bad value is declined, and the next one
    /// is looked at. `None`: there is no good offer, and the connection goes on without compression.
    pub fn accept(&self, upgrade: &Upgrade<'_, '_>) -> Option<DeflateAgreement> {
        // RFC 7692 §5: "The order of elements is important as it specifies the client's preference."
        let mut offers = upgrade.extensions().filter(|extension| extension.name() == NAME);
        // RFC 7692 §7.1.2.2: the parameter "has no value or a decimal integer value" in an offer. Without
        // one, the client says only that it can be limited.
        let offer = offers.find_map(|offer| DeflateAgreement::read(offer, Some(WindowBits::MAX)))?;
        let wanted = self.wanted();
        Some(DeflateAgreement {
            // RFC 7692 §7.1.1.1: "A server accepts an extension negotiation offer that includes the
            // "server_no_context_takeover" extension parameter by including the "server_no_context_takeover"
            // extension parameter in the corresponding extension negotiation response". It may do so unasked.
            server_no_context_takeover: offer.server_no_context_takeover || wanted.server_no_context_takeover,
            // RFC 7692 §7.1.1.2: "A server MAY include the "client_no_context_takeover" extension parameter
            // in an extension negotiation response." If the client has offered it, no window need be kept for
            // it.
            client_no_context_takeover: offer.client_no_context_takeover || wanted.client_no_context_takeover,
            // RFC 7692 §7.1.2.1: "by including the "server_max_window_bits" extension parameter in the
            // extension negotiation response to send back to the client with the same or smaller value as the
            // offer." It may do so unasked.
            server_max_window_bits: smaller(offer.server_max_window_bits, wanted.server_max_window_bits),
            // RFC 7692 §7.1.2.2: "If a received extension negotiation offer doesn't have the
            // "client_max_window_bits" extension parameter, the corresponding extension negotiation response
            // to the offer MUST NOT include the "client_max_window_bits" extension parameter." Else its value
            // is "equal to or smaller than the received value".
            client_max_window_bits: offer
                .client_max_window_bits
                .map(|bits| bits.min(self.client_max_window_bits.max(MIN_ASKED)))
                .and_then(unless_max),
        })
    }

    /// For a client: its two offers, the value for
    /// [`ClientRequest::with_extensions`](ws_handshake::ClientRequest::with_extensions).
    ///
    /// The first has what is wanted, and always says that the client can limit its window. The second is plain,
    /// for servers that know no parameters: the client would rather keep a window than go without compression.
    pub fn offer(&self) -> String {
        let asked = self.asked();
        let mut offer = asked.to_string();
        if asked.client_max_window_bits.is_none() {
            offer.push_str("; ");
            offer.push_str(CLIENT_MAX_WINDOW_BITS);
        }
        // RFC 7692 §5: "This set of elements MAY include multiple PMCEs with the same extension name".
        offer.push_str(", ");
        offer.push_str(NAME);
        offer
    }

    /// For a client that has sent [`offer`](Self::offer): what the server has agreed to. `None`: it has
    /// declined, and the connection goes on without compression.
    ///
    /// # Errors
    ///
    /// The response is none that either offer allows. RFC 7692 §7: the client "MUST _Fail the WebSocket
    /// Connection_".
    pub fn check(&self, established: &Established<'_>) -> Result<Option<DeflateAgreement>, DeflateError> {
        let mut responses = established.extensions().filter(|extension| extension.name() == NAME);
        let Some(response) = responses.next() else { return Ok(None) };
        // Only one of the offers can be accepted.
        if responses.next().is_some() {
            return Err(DeflateError::NotOffered);
        }
        // In a response, `client_max_window_bits` has a value in any case (RFC 7692 §7.1.2.2).
        let agreed = DeflateAgreement::read(response, None).ok_or(DeflateError::Malformed)?;
        let asked = self.asked();
        // RFC 7692 §7.1.1.1, §7.1.2.1: a server accepts an offer with one of these by including it, with "the
        // same or smaller value as the offer" if it has one. Without it, the first offer is not what is accepted.
        let is_first = (agreed.server_no_context_takeover || !asked.server_no_context_takeover)
            && agreed.server_max_window_bits() <= asked.server_max_window_bits()
            // RFC 7692 §7.1.2.2: "with a value equal to or smaller than the received value."
            && agreed.client_max_window_bits.is_none_or(|bits| bits <= self.client_max_window_bits);
        // RFC 7692 §7.1.2.2: for an offer without this parameter, the response "MUST NOT include" it. The
        // server's own parameters may be in the response unasked.
        let is_plain = agreed.client_max_window_bits.is_none();
        if !is_first && !is_plain {
            return Err(DeflateError::NotOffered);
        }
        Ok(Some(DeflateAgreement {
            // A hint, to which the client keeps even if the server ignores it (RFC 7692 §7.1.1.2).
            client_no_context_takeover: agreed.client_no_context_takeover || asked.client_no_context_takeover,
            // RFC 7692 §7.1.2.2: "a hint that [...] if the server doesn't include the extension parameter at
            // all, the client is not going to use an LZ77 sliding window size greater than the size
            // specified".
            client_max_window_bits: smaller(agreed.client_max_window_bits, asked.client_max_window_bits),
            ..agreed
        }))
    }

    /// For a client: the parameters of its first offer.
    fn asked(&self) -> DeflateAgreement {
        let wanted = self.wanted();
        let server_max_window_bits = wanted.server_max_window_bits.map(|bits| bits.max(MIN_ASKED));
        DeflateAgreement { server_max_window_bits, ..wanted }
    }

    /// The parameters that say this. A window of the largest size needs none.
    fn wanted(&self) -> DeflateAgreement {
        DeflateAgreement {
            server_no_context_takeover: !self.server_context_takeover,
            client_no_context_takeover: !self.client_context_takeover,
            server_max_window_bits: unless_max(self.server_max_window_bits),
            client_max_window_bits: unless_max(self.client_max_window_bits),
        }
    }
}

/// The smaller of two limits, if there is one.
fn smaller(limit: Option<WindowBits>, other: Option<WindowBits>) -> Option<WindowBits> {
    limit.into_iter().chain(other).min()
}

/// What client and server have agreed on about permessage-deflate.
///
/// [`Display`](fmt::Display) writes the response that says this, as `Sec-WebSocket-Extensions` has it. For a
/// server, that is the response to send. For a client, which keeps to its own hints also if the server passes
/// over them, it may be more than the server has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateAgreement {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    // `None` is `WindowBits::MAX`, left unsaid. A server that is asked for this size has to say it.
    server_max_window_bits: Option<WindowBits>,
    client_max_window_bits: Option<WindowBits>,
}

impl DeflateAgreement {
    /// Whether the server's messages may refer to earlier ones (RFC 7692 §7.1.1.1).
    pub fn server_context_takeover(&self) -> bool {
        !self.server_no_context_takeover
    }

    /// Whether the client's messages may refer to earlier ones (RFC 7692 §7.1.1.2).
    pub fn client_context_takeover(&self) -> bool {
        !self.client_no_context_takeover
    }

    /// The agreement as the server's side of a connection sees it.
    pub fn as_server(&self) -> DeflateConfig {
        DeflateConfig {
            send_context_takeover: self.server_context_takeover(),
            send_window_bits: self.server_max_window_bits(),
            receive_context_takeover: self.client_context_takeover(),
            receive_window_bits: self.client_max_window_bits(),
            ..DeflateConfig::default()
        }
    }

    /// The agreement as the client's side of a connection sees it.
    pub fn as_client(&self) -> DeflateConfig {
        DeflateConfig {
            send_context_takeover: self.client_context_takeover(),
            send_window_bits: self.client_max_window_bits(),
            receive_context_takeover: self.server_context_takeover(),
            receive_window_bits: self.server_max_window_bits(),
            ..DeflateConfig::default()
        }
    }

    /// The largest window that the server may compress with (RFC 7692 §7.1.2.1).
    pub fn server_max_window_bits(&self) -> WindowBits {
        self.server_max_window_bits.unwrap_or(WindowBits::MAX)
    }

    /// The largest window that the client may compress with (RFC 7692 §7.1.2.2).
    ///
    /// For a server, this is more than it wants if the client does not say that it can be limited.
    pub fn client_max_window_bits(&self) -> WindowBits {
        self.client_max_window_bits.unwrap_or(WindowBits::MAX)
    }

    /// Reads the parameters of an offer or of a response; `None` if one of them is illegal.
    ///
    /// `unvalued` is what `client_max_window_bits` without a value means, if it is legal.
    fn read(extension: &Extension<'_>, unvalued: Option<WindowBits>) -> Option<Self> {
        let mut read = Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        for (name, value) in extension.params() {
            // RFC 7692 §7: an offer must be declined, and a response must fail the connection, if it
            // "contains an extension parameter not defined for use in an offer", one "with an invalid value",
            // or "multiple extension parameters with the same name".
            let is_repeated = match (name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                    mem::replace(&mut read.server_no_context_takeover, true)
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                    mem::replace(&mut read.client_no_context_takeover, true)
                }
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    read.server_max_window_bits.replace(parse_window_bits(value)?).is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, value) => {
                    let bits = value.map_or(unvalued, parse_window_bits)?;
                    read.client_max_window_bits.replace(bits).is_some()
                }
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        Some(read)
    }
}

impl fmt::Display for DeflateAgreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={}", bits.get())?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; {CLIENT_MAX_WINDOW_BITS}={}", bits.get())?;
        }
        Ok(())
    }
}

/// A response of a server on permessage-deflate that fails the connection (RFC 7692 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeflateError {
    /// A parameter is unknown, repeated, or has an illegal value.
    #[error("the server's parameters for permessage-deflate are malformed")]
    Malformed,
    /// The server accepts other parameters than the offer allows, or more than once.
    #[error("the server accepted permessage-deflate in a way that was not offered")]
    NotOffered,
}

/// RFC 7692 §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn parse_window_bits(value: &str) -> Option<WindowBits> {
    // `u8` would also take a sign and leading zeroes.
    if !value.starts_with(|first| matches!(first, '1'..='9')) {
        return None;
    }
    WindowBits::new(value.parse().ok()?)
}

/// `None` for the largest window, which goes without saying.
fn unless_max(bits: WindowBits) -> Option<WindowBits> {
    (bits < WindowBits::MAX).then_some(bits)
}
