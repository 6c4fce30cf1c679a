//! The input of a target as the choices that it makes, in order.

/// What is left of the input. A script that is used up goes on with zeros, so that any bytes are a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// The next two bytes as a number.
    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of these.
    pub(crate) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// The next bytes, up to this many.
    pub(crate) fn take(&mut self, max_len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(max_len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Cuts `bytes` into pieces of these lengths, again and again. A length of 0 is an empty piece once.
pub(crate) fn cut<'b>(mut bytes: &'b [u8], lens: &[u8]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    for len in lens.iter().cycle().take(lens.len() + 2 * bytes.len()) {
        let (piece, rest) = bytes.split_at(usize::from(*len).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}
