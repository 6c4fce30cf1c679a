//! What stands for permessage-deflate where the feature `deflate` is off: types that have no values.

use crate::{Limits, ProtocolError, assembly::Assembly};

/// Nothing is shared.
#[derive(Debug, Default)]
pub(crate) struct Codec;

/// No compressor is shared.
pub(crate) type Shared = core::convert::Infallible;

/// No connection compresses what it sends.
#[derive(Debug)]
pub(crate) enum Compression {}

/// No connection inflates what it receives.
#[derive(Debug)]
pub(crate) enum Inflation {}

impl Compression {
    pub(crate) const fn applies_to(&self, _: usize) -> bool {
        match *self {}
    }

    pub(crate) const fn shared_with(&self, _: usize) -> Option<Shared> {
        match *self {}
    }

    pub(crate) const fn forget(&self) {
        match *self {}
    }

    pub(crate) const fn compress<'c>(&mut self, _: &[u8], _: &'c mut Codec) -> Option<&'c [u8]> {
        match *self {}
    }
}

impl Inflation {
    pub(crate) const fn held_len(&self) -> usize {
        match *self {}
    }

    pub(crate) const fn inflate(
        &mut self,
        _: &[u8],
        _: &mut Assembly,
        _: Limits,
        _: &mut Codec,
    ) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(crate) const fn finish(&mut self, _: &Assembly, _: &mut Codec) -> Result<(), ProtocolError> {
        match *self {}
    }
}
