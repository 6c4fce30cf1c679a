//! The policies that decide which hosts are served, and which origins may open a connection.

pub(crate) mod host;
pub(crate) mod origin;
pub(crate) mod pattern;
