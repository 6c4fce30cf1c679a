//! permessage-deflate (RFC 7692), as a server offers it: what is agreed, and what it costs.

use crate::{Compression, Config};
use ws_handshake::{DeflateConfig, DeflateParams, Upgrade};
use ws_protocol::{Protocol, ServerRole};

/// See [`Compression::server_max_window_bits`].
const SMALLER_WINDOW_BITS: u8 = 9;

/// What was agreed with one client.
#[derive(Debug)]
pub(crate) struct Agreed(Option<(DeflateParams, ws_protocol::DeflateConfig)>);

impl Agreed {
    /// What this server and the client that asks for this upgrade agree on.
    pub(crate) fn on(upgrade: &Upgrade<'_, '_>, config: &Config, budget: &Budget) -> Self {
        let Some(compression) = &config.compression else { return Self(None) };
        let mut wanted = DeflateConfig::default();
        wanted.server_no_context_takeover =
            !compression.server_context_takeover || budget.spent >= compression.max_compressors_len;
        wanted.client_no_context_takeover = !compression.client_context_takeover;
        wanted.client_max_window_bits = compression.client_max_window_bits;
        Self(wanted.accept(upgrade).map(|params| (params, transformation(&params, compression))))
    }

    /// What the response says of it.
    pub(crate) fn extensions(&self) -> Option<String> {
        self.0.as_ref().map(|(params, _)| params.to_string())
    }

    pub(crate) fn apply(&self, protocol: Protocol<ServerRole>) -> Protocol<ServerRole> {
        match &self.0 {
            Some((_, config)) => protocol.with_deflate(config),
            None => protocol,
        }
    }
}

/// The same agreement, as the server's side of the connection sees it.
fn transformation(params: &DeflateParams, compression: &Compression) -> ws_protocol::DeflateConfig {
    let send_context_takeover = !params.server_no_context_takeover();
    let (agreed, ours) = (params.server_max_window_bits(), compression.server_max_window_bits);
    // Shared compressors have one of two windows, so that a broadcast is compressed for two at most.
    let is_between = !send_context_takeover && agreed < ours && agreed.get() > SMALLER_WINDOW_BITS;
    let send_window_bits = if is_between { SMALLER_WINDOW_BITS } else { agreed.min(ours).get() };
    let mut config = ws_protocol::DeflateConfig::default();
    config.send_context_takeover = send_context_takeover;
    config.send_window_bits = window_bits(send_window_bits);
    config.receive_context_takeover = !params.client_no_context_takeover();
    config.receive_window_bits = window_bits(params.client_max_window_bits().get());
    config.min_len = compression.min_len;
    config.level = compression.level;
    config
}

/// From 8 to 15, as in ws-handshake.
fn window_bits(bits: u8) -> ws_protocol::WindowBits {
    ws_protocol::WindowBits::new(bits).unwrap_or(ws_protocol::WindowBits::MAX)
}

/// What a worker has spent on compressors of single connections, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    spent: usize,
}

impl Budget {
    /// Pays for what was agreed, and gives the price.
    pub(crate) fn take(&mut self, agreed: &Agreed) -> usize {
        let len = agreed.0.as_ref().map_or(0, |(_, config)| config.own_compressor_len());
        self.spent += len;
        len
    }

    /// A connection has ended that had paid so much.
    pub(crate) fn give_back(&mut self, len: usize) {
        self.spent -= len;
    }
}
