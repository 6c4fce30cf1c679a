//! The head of a request or a response, gathered from pieces.

use alloc::{string::ToString, vec::Vec};
use ws_handshake::{HandshakeError, HeadScanner, Response};
use ws_protocol::Input;

/// A head, as far as it has come. Most heads come in one piece, and are lent from where they lie.
#[derive(Debug, Default)]
pub(crate) struct Head {
    scanner: HeadScanner,
    /// The part that came in earlier pieces.
    pub(crate) received: Vec<u8>,
}

/// The reason why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The bytes are no head of HTTP, or one that is too long.
    #[error(transparent)]
    Malformed(#[from] HandshakeError),
    /// There is no memory to keep an unfinished head.
    #[error("there is no memory for the head of a request")]
    OutOfMemory,
}

impl HeadError {
    /// The refusal that a server answers with.
    pub fn response(&self) -> Response {
        match self {
            Self::Malformed(error) => error.response(),
            Self::OutOfMemory => Response::text(503, self.to_string() + "\n"),
        }
    }
}

impl Head {
    /// Looks for the end of the head in `input`, and returns the number of its bytes that belong to the head, for
    /// [`take`](Self::take). `None`: all of them do, and were used up.
    ///
    /// # Errors
    ///
    /// [`HeadError`]; what has come is in `received`.
    pub(crate) fn find(&mut self, input: &mut Input<'_>, max_len: usize) -> Result<Option<usize>, HeadError> {
        let kept_len = self.received.len();
        if kept_len > 0 {
            self.keep(input.remaining())?;
        }
        let received = if kept_len > 0 { &*self.received } else { input.remaining() };
        match self.scanner.scan(received, max_len) {
            Ok(Some(head_len)) => {
                if kept_len > 0 {
                    self.received.truncate(head_len);
                }
                Ok(Some(head_len.saturating_sub(kept_len)))
            }
            Ok(None) => {
                if kept_len == 0 {
                    self.keep(input.remaining())?;
                }
                input.split_off(usize::MAX);
                Ok(None)
            }
            Err(error) => {
                // For whoever looks at what was refused.
                if kept_len == 0 {
                    self.keep(input.remaining())?;
                }
                Err(error.into())
            }
        }
    }

    /// Uses up the bytes that [`find`](Self::find) has found, and returns the whole head.
    pub(crate) fn take<'a>(&'a self, input: &'a mut Input<'_>, len: usize) -> &'a [u8] {
        let last = input.split_off(len);
        if self.received.is_empty() { last } else { &self.received }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        self.received.try_reserve_exact(bytes.len()).map_err(|_| HeadError::OutOfMemory)?;
        self.received.extend_from_slice(bytes);
        Ok(())
    }
}
