//! The flags about who may connect.

use ws_server::{Access, HostPolicy, OriginPolicy};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who may connect")]
#[allow(rustdoc::bare_urls, reason = "the text is for a terminal")]
pub(crate) struct AccessArgs {
    /// Origins that may connect: any; same-origin (the host and port of Origin are those of Host);
    /// or a list such as https://example.com,http://localhost:*,moz-extension://*,file://,null. The
    /// default is any, as the echo has nothing to protect
    #[arg(long, env = "WSCLI_ORIGIN", value_name = "ORIGINS", default_value = "any")]
    origin: OriginPolicy,

    /// Values of the Host header field to serve, as a proxy passes them on: any; loopback
    /// (localhost and its addresses); or a list such as example.com,localhost:9999
    #[arg(long, env = "WSCLI_HOST", value_name = "HOSTS", default_value = "any")]
    host: HostPolicy,
}

impl AccessArgs {
    pub(super) fn access(&self) -> Access {
        Access { origins: self.origin.clone(), hosts: Some(self.host.clone()) }
    }
}
