//! permessage-deflate (RFC 7692), as a server offers it: what is agreed, and what it costs.

use crate::{Compression, Config};
use ws_endpoint::{DeflateAgreement, DeflateOffer};
use ws_handshake::Upgrade;
use ws_protocol::{DeflateConfig, Protocol, ServerRole, WindowBits};

/// See [`Compression::server_max_window_bits`].
const SMALLER_WINDOW_BITS: Option<WindowBits> = WindowBits::new(9);

/// The agreement with one client.
#[derive(Debug)]
pub(crate) struct Agreed(Option<(DeflateAgreement, DeflateConfig)>);

impl Agreed {
    /// The agreement of this server with the client that asks for this upgrade.
    pub(crate) fn on(upgrade: &Upgrade<'_, '_>, config: &Config, budget: &Budget) -> Self {
        let Some(compression) = &config.compression else { return Self(None) };
        let offer = DeflateOffer {
            server_context_takeover: compression.server_context_takeover
                && budget.spent < compression.max_compressors_len,
            client_context_takeover: compression.client_context_takeover,
            client_max_window_bits: compression.client_max_window_bits,
            ..DeflateOffer::default()
        };
        Self(offer.accept(upgrade).map(|agreement| (agreement, sending(&agreement, compression))))
    }

    /// The agreement as the response has it.
    pub(crate) fn extensions(&self) -> Option<String> {
        self.0.as_ref().map(|(agreement, _)| agreement.to_string())
    }

    pub(crate) fn apply(&self, protocol: Protocol<ServerRole>) -> Protocol<ServerRole> {
        match &self.0 {
            Some((_, config)) => protocol.with_deflate(config),
            None => protocol,
        }
    }
}

/// The agreement, and how this server makes use of it.
fn sending(agreement: &DeflateAgreement, compression: &Compression) -> DeflateConfig {
    let mut config = agreement.as_server();
    let (agreed, ours) = (config.send_window_bits, compression.server_max_window_bits);
    config.send_window_bits = agreed.min(ours);
    // Shared compressors have one of two windows, so that a broadcast is compressed for two at most.
    if let Some(smaller) = SMALLER_WINDOW_BITS
        && !config.send_context_takeover
        && agreed < ours
        && agreed > smaller
    {
        config.send_window_bits = smaller;
    }
    DeflateConfig { min_len: compression.min_len, level: compression.level, ..config }
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
