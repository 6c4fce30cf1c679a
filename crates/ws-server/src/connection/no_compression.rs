//! What stands for compression where the feature `deflate` is off: nothing is agreed, and nothing is spent.

use crate::Config;
use ws_handshake::Upgrade;
use ws_protocol::{Protocol, ServerRole};

#[derive(Debug)]
pub(crate) struct Agreed;

impl Agreed {
    pub(crate) fn on(_: &Upgrade<'_, '_>, _: &Config, _: &Budget) -> Self {
        Self
    }

    pub(crate) fn extensions(&self) -> Option<String> {
        None
    }

    pub(crate) fn apply(&self, protocol: Protocol<ServerRole>) -> Protocol<ServerRole> {
        protocol
    }
}

#[derive(Debug, Default)]
pub(crate) struct Budget(());

impl Budget {
    pub(crate) fn take(&mut self, _: &Agreed) -> usize {
        0
    }

    pub(crate) fn give_back(&mut self, _: usize) {}
}
