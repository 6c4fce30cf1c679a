//! The flags about compression.

use crate::units::Size;
use ws_server::{Compression, CompressionLevel, WindowBits};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compression (permessage-deflate, with clients that offer it)")]
pub(crate) struct CompressionArgs {
    /// shared: one compressor for all connections; takeover: one per connection, which compresses
    /// small messages better and costs 265 KB each; off
    #[arg(long, env = "WSCLI_COMPRESSION", value_name = "MODE", default_value = "shared")]
    compression: Mode,

    /// Compression level, 1 (fastest) to 9, for messages up to 8 KiB. Longer messages use at most
    /// level 6, messages over 64 KiB level 1, and messages over 2 MiB are not compressed
    #[arg(long, env = "WSCLI_COMPRESSION_LEVEL", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    #[arg(default_value_t = Compression::default().level.get())]
    compression_level: u8,

    /// Minimum size of a message to compress
    #[arg(long, env = "WSCLI_COMPRESSION_MIN_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Compression::default().min_len))]
    compression_min_len: Size,

    /// Maximum memory per worker for compressors of single connections; later connections share one
    #[arg(long, env = "WSCLI_MAX_COMPRESSORS_LEN", value_name = "SIZE")]
    #[arg(default_value_t = Size(Compression::default().max_compressors_len))]
    max_compressors_len: Size,

    /// Maximum window for sent messages, 8 to 15 bits [default: 15, or 12 with takeover]
    #[arg(long, env = "WSCLI_SERVER_MAX_WINDOW_BITS", value_name = "BITS", value_parser = window_bits)]
    server_max_window_bits: Option<WindowBits>,

    /// Maximum window for received messages, for clients that accept a limit; at least 9 bits
    /// [default: 15, or 12 with takeover]
    #[arg(long, env = "WSCLI_CLIENT_MAX_WINDOW_BITS", value_name = "BITS", value_parser = window_bits)]
    client_max_window_bits: Option<WindowBits>,
}

/// The owners of compressors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Shared,
    Takeover,
    Off,
}

impl CompressionArgs {
    pub(super) fn compression(&self) -> Option<Compression> {
        if self.compression == Mode::Off {
            return None;
        }
        let mut compression = match self.compression {
            Mode::Takeover => Compression::takeover(),
            Mode::Shared | Mode::Off => Compression::default(),
        };
        let Compression { server_max_window_bits: server, client_max_window_bits: client, .. } = compression;
        compression.server_max_window_bits = self.server_max_window_bits.unwrap_or(server);
        compression.client_max_window_bits = self.client_max_window_bits.unwrap_or(client);
        compression.max_compressors_len = self.max_compressors_len.0;
        compression.min_len = self.compression_min_len.0;
        compression.level = CompressionLevel::new(self.compression_level).unwrap_or_default();
        Some(compression)
    }
}

/// Reads the size of a window, in bits.
fn window_bits(text: &str) -> Result<WindowBits, &'static str> {
    text.parse().ok().and_then(WindowBits::new).ok_or("it must be from 8 to 15")
}
