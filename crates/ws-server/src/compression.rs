//! permessage-deflate (RFC 7692), as a server offers it: what is agreed, and what it costs.

use crate::Config;
use ws_handshake::{DeflateConfig, DeflateParams, Upgrade, WindowBits};
use ws_protocol::{CompressionLevel, Protocol, Server};

/// See [`Compression::takeover`].
const TAKEOVER_WINDOW_BITS: u8 = 12;

/// See [`Compression::server_max_window_bits`].
const SMALLER_WINDOW_BITS: u8 = 9;

/// How messages are compressed, with clients that offer it.
///
/// By default one compressor serves all connections of a worker, and an idle connection keeps nothing: neither side's
/// messages refer to earlier ones. Context [`takeover`](Self::takeover) compresses small messages better, and costs
/// memory for each connection: `docs/limits.md` has the figures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// Whether what is sent may refer to earlier messages: each such connection has a compressor of its own, of 250 KB and
    /// more. Not by default.
    pub server_takeover: bool,
    /// Whether what is received may refer to earlier messages: each such connection keeps the last bytes of what it
    /// received, up to the client's window. Not by default. There are clients that refer to them whatever is agreed
    /// (Tornado, Mojolicious), and are closed with 1007 then.
    pub client_takeover: bool,
    /// The largest window that is used for what is sent; by default 15 bits, 32 KiB. A client that asks for a smaller
    /// one and has no compressor to itself gets 9 bits, so that a broadcast is compressed twice at most. Clients are not told: what they
    /// have inflates it all the same, and some fail if they are told what they have not asked for.
    pub server_max_window_bits: WindowBits,
    /// The largest window that clients may use, as far as they can be told; by default 15 bits, 32 KiB. Those that are
    /// asked for 8 are asked for 9.
    pub client_max_window_bits: WindowBits,
    /// How many bytes a worker may spend on compressors of single connections; 64 MiB by default. Beyond it, new
    /// connections share one, as if [`server_takeover`](Self::server_takeover) were off.
    pub max_compressors_len: usize,
    /// Messages of fewer bytes are sent as they are; 128 by default. So are those of over 2 MiB: to compress them
    /// would hold up the worker.
    pub min_len: usize,
    /// The compression level for messages of up to 8 KiB: 1, the fastest, to 9; 6 by default. Longer messages are
    /// compressed at level 6 at most, and those of over 64 KiB at level 1.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            server_takeover: false,
            client_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            max_compressors_len: 64 << 20,
            min_len: 128,
            level: 6,
        }
    }
}

impl Compression {
    /// With context takeover in both directions, and windows of 12 bits, 4 KiB. That is a few messages back, where small
    /// ones find most of what they repeat; a larger window is one that the processor's caches do not hold for many
    /// connections, and costs up to three times as much time.
    pub fn takeover() -> Self {
        let window_bits = WindowBits::new(TAKEOVER_WINDOW_BITS).unwrap_or(WindowBits::MAX);
        Self {
            server_takeover: true,
            client_takeover: true,
            server_max_window_bits: window_bits,
            client_max_window_bits: window_bits,
            ..Self::default()
        }
    }
}

/// What was agreed with one client.
#[derive(Debug)]
pub(crate) struct Agreed(Option<(DeflateParams, ws_protocol::DeflateConfig)>);

impl Agreed {
    /// What this server and the client that asks for this upgrade agree on.
    pub(crate) fn on(upgrade: &Upgrade<'_, '_>, config: &Config, budget: &Budget) -> Self {
        let Some(compression) = &config.compression else { return Self(None) };
        let mut wanted = DeflateConfig::default();
        wanted.server_no_context_takeover =
            !compression.server_takeover || budget.spent >= compression.max_compressors_len;
        wanted.client_no_context_takeover = !compression.client_takeover;
        wanted.client_max_window_bits = compression.client_max_window_bits;
        Self(wanted.accept(upgrade).map(|params| (params, transformation(&params, compression))))
    }

    /// What the response says of it.
    pub(crate) fn extensions(&self) -> Option<String> {
        self.0.as_ref().map(|(params, _)| params.to_string())
    }

    pub(crate) fn apply(&self, protocol: Protocol<Server>) -> Protocol<Server> {
        match &self.0 {
            Some((_, config)) => protocol.with_deflate(config),
            None => protocol,
        }
    }
}

/// The same agreement, as the server's side of the connection sees it.
fn transformation(params: &DeflateParams, compression: &Compression) -> ws_protocol::DeflateConfig {
    let send_takeover = !params.server_no_context_takeover();
    let (agreed, ours) = (params.server_max_window_bits(), compression.server_max_window_bits);
    // Shared compressors have one of two windows, so that a broadcast is compressed for two at most.
    let is_between = !send_takeover && agreed < ours && agreed.get() > SMALLER_WINDOW_BITS;
    let send_window_bits = if is_between { SMALLER_WINDOW_BITS } else { agreed.min(ours).get() };
    let mut config = ws_protocol::DeflateConfig::default();
    config.send_takeover = send_takeover;
    config.send_window_bits = window_bits(send_window_bits);
    config.receive_takeover = !params.client_no_context_takeover();
    config.receive_window_bits = window_bits(params.client_max_window_bits().get());
    config.min_len = compression.min_len;
    config.level = CompressionLevel::new(compression.level.clamp(1, 9)).unwrap_or_default();
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
