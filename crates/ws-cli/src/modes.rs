//! The modes of the executable.

pub(crate) mod echo;
