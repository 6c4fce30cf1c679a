//! The parts that every serving mode shares: listening, the log, signals, metrics, pages and
//! probes.

pub(crate) mod access_log;
pub(crate) mod events;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod mode;
pub(crate) mod panics;
pub(crate) mod probes;
mod rate;
pub(crate) mod refusals;
pub(crate) mod signals;
mod writer;
