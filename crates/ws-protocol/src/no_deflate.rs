//! What stands for permessage-deflate where the feature `deflate` is off: types that have no values.

use crate::{MessageLimits, Prepared, ProtocolError, assembly::Assembly};
use alloc::sync::Arc;

/// Nothing is shared.
#[derive(Debug, Default)]
pub(crate) struct CodecPool;

/// No connection compresses what it sends.
#[derive(Debug)]
pub(crate) enum Deflation {}

/// No connection inflates what it receives.
#[derive(Debug)]
pub(crate) enum Inflation {}

impl Deflation {
    pub(crate) const fn applies_to(&self, _: usize) -> bool {
        match *self {}
    }

    pub(crate) const fn prepare<'p>(&mut self, _: &'p Prepared, _: &CodecPool) -> Option<&'p Arc<[u8]>> {
        match *self {}
    }

    pub(crate) const fn forget(&self) {
        match *self {}
    }

    pub(crate) const fn compress<'c>(&mut self, _: &[u8], _: &'c mut CodecPool) -> Option<&'c [u8]> {
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
        _: MessageLimits,
        _: &mut CodecPool,
    ) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(crate) const fn finish(&mut self, _: &Assembly, _: &mut CodecPool) -> Result<(), ProtocolError> {
        match *self {}
    }
}
