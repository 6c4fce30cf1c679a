//! The span in which messages are counted, and what the server spends in it.

use crate::{Options, Outcome, server::Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long to wait for a server that says nothing more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// First the warm-up, then what counts.
pub(crate) struct Window {
    server: Server,
    opens: Instant,
    measure: Duration,
    at_opening: Option<Reading>,
    at_closing: Option<Reading>,
}

struct Reading {
    at: Instant,
    messages: u64,
    cpu_time: Duration,
}

impl Window {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            server: Server::new(options.pid),
            opens: Instant::now() + options.warm_up(),
            measure: options.measure(),
            at_opening: None,
            at_closing: None,
        }
    }

    /// Takes note of how many messages there have been; `true` once all that counts is over.
    pub(crate) fn tick(&mut self, now: Instant, messages: u64) -> Outcome<bool> {
        match &self.at_opening {
            None if now >= self.opens => self.at_opening = Some(self.read(messages)?),
            Some(opening) if now - opening.at >= self.measure => {
                self.at_closing = Some(self.read(messages)?);
            }
            _ => {}
        }
        Ok(self.at_closing.is_some())
    }

    /// Whether messages count.
    pub(crate) fn is_open(&self) -> bool {
        self.at_opening.is_some()
    }

    /// What there was in the window.
    pub(crate) fn result(&self) -> Outcome<Value> {
        let (Some(opening), Some(closing)) = (&self.at_opening, &self.at_closing) else {
            return Err("nothing was measured".into());
        };
        let messages = closing.messages - opening.messages;
        if messages == 0 {
            return Err("no message came back in the time that counts".into());
        }
        let seconds = (closing.at - opening.at).as_secs_f64();
        let cpu_ns = (closing.cpu_time - opening.cpu_time).as_nanos() as u64;
        Ok(json!({
            "messages": messages,
            "messages_in_all": closing.messages,
            "seconds": seconds,
            "cpu_ns": cpu_ns,
            "cpu_ns_per_message": cpu_ns as f64 / messages as f64,
            "messages_per_second": messages as f64 / seconds,
        }))
    }

    fn read(&self, messages: u64) -> Outcome<Reading> {
        Ok(Reading { at: Instant::now(), messages, cpu_time: self.server.cpu_time()? })
    }
}
