//! The program as its users and its clients see it: started, talked to over TCP, and ended.

mod console;
mod echo;
mod signals;
mod support;
mod usage;
