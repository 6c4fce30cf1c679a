//! Incremental UTF-8 (RFC 6455 §8.1): text is checked as it arrives, wherever it is cut.

use core::str;
#[cfg(not(feature = "simd"))]
use core::str::from_utf8 as check;
#[cfg(feature = "simd")]
use simdutf8::compat::from_utf8 as check;

/// The bytes as text, if they are UTF-8 (RFC 6455 §8.1).
///
/// # Errors
///
/// [`InvalidUtf8`] if they are not.
#[inline]
pub fn from_utf8(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    check(bytes).map_err(|_| InvalidUtf8)
}

/// Checks one text as UTF-8, piece by piece, and fails at the first byte that cannot be right (RFC 6455 §8.1).
///
/// ```
/// use ws_frame::Utf8Validator;
///
/// let mut validator = Utf8Validator::new();
/// let first = validator.push(b"\xce\xba\xe1\xbd")?; // cut within a character
/// assert_eq!((first.completed, first.rest), (None, "\u{3ba}"));
/// let second = validator.push(b"\xb9!")?;
/// assert_eq!((second.completed, second.rest), (Some('\u{1f79}'), "!"));
/// validator.finish()?;
/// # Ok::<(), ws_frame::InvalidUtf8>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8Validator {
    /// The start of a character whose other bytes have not come: always the beginning of some valid sequence.
    cut: [u8; 3],
    cut_len: u8,
}

/// The characters that a piece of text made whole, in order: [`completed`](Self::completed), then [`rest`](Self::rest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated<'a> {
    /// The character that began in an earlier piece.
    pub completed: Option<char>,
    /// Those that are all in this piece. A character that is cut at its end is kept for the next.
    pub rest: &'a str,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { cut: [0; 3], cut_len: 0 }
    }

    /// Checks the next piece.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if no text has these bytes here. The validator is then of no more use.
    #[inline]
    pub fn push<'a>(&mut self, mut piece: &'a [u8]) -> Result<Validated<'a>, InvalidUtf8> {
        let mut completed = None;
        if self.cut_len > 0 {
            (completed, piece) = self.complete(piece)?;
        }
        match check(piece) {
            Ok(rest) => Ok(Validated { completed, rest }),
            // `error_len` is `None` only where the bytes end within a sequence that is right so far.
            Err(error) if error.error_len().is_none() => {
                let (valid, cut) = piece.split_at(error.valid_up_to());
                self.keep(cut)?;
                Ok(Validated { completed, rest: str::from_utf8(valid).map_err(|_| InvalidUtf8)? })
            }
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// The start of a character whose other bytes have not come.
    #[inline]
    pub fn cut(&self) -> &[u8] {
        &self.cut[..usize::from(self.cut_len)]
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if it ends within a character.
    #[inline]
    pub const fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.cut_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Adds bytes of `piece` to the character that was cut until it is whole; gives it, and what is left of `piece`.
    fn complete<'a>(&mut self, piece: &'a [u8]) -> Result<(Option<char>, &'a [u8]), InvalidUtf8> {
        let mut bytes = [0; 4];
        let mut len = usize::from(self.cut_len);
        bytes[..len].copy_from_slice(&self.cut[..len]);
        for (taken, &byte) in piece.iter().enumerate() {
            // A sequence of four bytes is either whole or wrong, so `len` stays under 4 here.
            bytes[len] = byte;
            len += 1;
            match str::from_utf8(&bytes[..len]) {
                Ok(whole) => {
                    self.cut_len = 0;
                    return Ok((whole.chars().next(), &piece[taken + 1..]));
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        self.keep(&bytes[..len])?;
        Ok((None, &[]))
    }

    /// Keeps the start of a character for the next piece.
    fn keep(&mut self, cut: &[u8]) -> Result<(), InvalidUtf8> {
        self.cut.get_mut(..cut.len()).ok_or(InvalidUtf8)?.copy_from_slice(cut);
        self.cut_len = u8::try_from(cut.len()).map_err(|_| InvalidUtf8)?;
        Ok(())
    }
}

/// Bytes that are not UTF-8 (RFC 3629). The connection ends with 1007.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not UTF-8")]
pub struct InvalidUtf8;
