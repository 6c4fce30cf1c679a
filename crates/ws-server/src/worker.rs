//! A worker: its connections, the loop that waits for them, and what reaches them from elsewhere.

pub(crate) mod acceptor;
pub(crate) mod connections;
pub(crate) mod mailbox;
#[expect(clippy::module_inception, reason = "the wing has the name of its main type")]
pub(crate) mod worker;
