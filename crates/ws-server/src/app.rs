//! The API that an application sees.

pub(crate) mod disconnect;
pub(crate) mod handler;
pub(crate) mod id;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod refusal;
pub(crate) mod remote;
