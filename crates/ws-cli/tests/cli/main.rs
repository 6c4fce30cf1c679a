//! The program as its users and its clients see it: started, talked to over TCP, and ended.

mod console;
mod descriptors;
mod echo;
mod logs;
mod memory;
mod metrics;
mod pages;
mod refusals;
mod signals;
mod support;
mod usage;
