//! The handler: it echoes, writes down what it is told, and panics where it is to.

use crate::common::steps::{Call, Fault, Steps};
use std::{cell::RefCell, rc::Rc};
use ws_server::{
    Accepted, CloseCode, Disconnect, Handler, Message, Peer, PeerInfo, Request, Response, SendStatus, Upgrade,
};

/// Echoes, and writes down what it is told; for the subject, each call is a step.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) steps: Rc<RefCell<Steps>>,
    /// What was told of the subject.
    pub(crate) subject: Rc<RefCell<Vec<String>>>,
    /// What was told of all the others.
    pub(crate) others: Rc<RefCell<Vec<String>>>,
    /// The messages that the subject was sent.
    pub(crate) sent: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Told {
    /// Takes note of a call, and does it; if it is the subject's, it is a step, and may panic.
    fn call<R>(&self, is_subject: bool, name: &'static str, told: &str, act: impl FnOnce() -> R) -> R {
        let line = format!("{name} {told}").trim_end().to_owned();
        if !is_subject {
            self.others.borrow_mut().push(line);
            return act();
        }
        self.subject.borrow_mut().push(line);
        let fault = self.steps.borrow_mut().next(Call::Handler(name));
        assert!(fault != Some(Fault::PanicBefore), "asked for");
        let result = act();
        assert!(fault != Some(Fault::PanicAfter), "asked for");
        result
    }

    fn send(&self, is_subject: bool, peer: &mut Peer<'_>, message: Message<'_>) {
        let status = peer.send(message);
        if is_subject && matches!(status, SendStatus::Sent | SendStatus::Lagging) {
            self.sent.borrow_mut().push(message.as_bytes().to_vec());
        }
    }
}

impl Handler for Told {
    /// Whether it is the subject's.
    type Session = bool;

    fn on_request(&mut self, upgrade: &Upgrade<'_, '_>, _: &PeerInfo) -> Result<Accepted<bool>, Response> {
        let path = upgrade.request().path();
        let is_subject = path.starts_with("/subject");
        self.call(is_subject, "on_request", "", || match path {
            "/subject-refused" => Err(Response::text(401, "who are you?\n")),
            _ => Ok(Accepted::new(is_subject)),
        })
    }

    fn on_http(&mut self, _: &Request<'_, '_>, _: &PeerInfo) -> Option<Response> {
        self.call(true, "on_http", "", || Some(Response::html(200, "<p>page</p>")))
    }

    fn on_open(&mut self, is_subject: &mut bool, peer: &mut Peer<'_>) {
        self.call(*is_subject, "on_open", "", || self.send(*is_subject, peer, Message::Text("welcome")));
    }

    fn on_message(&mut self, is_subject: &mut bool, peer: &mut Peer<'_>, message: Message<'_>) {
        let told = match message {
            Message::Text(text) => text.to_owned(),
            Message::Binary(bytes) => format!("{} bytes", bytes.len()),
        };
        self.call(*is_subject, "on_message", &told, || match message {
            Message::Text("close") => {
                peer.close(CloseCode::new(4000), "asked for");
            }
            Message::Text("ping") => {
                peer.ping(b"ours");
            }
            Message::Text("500 bytes") => self.send(*is_subject, peer, Message::Binary(&[7; 500])),
            message => self.send(*is_subject, peer, message),
        });
    }

    fn on_pong(&mut self, is_subject: &mut bool, _: &mut Peer<'_>, payload: &[u8]) {
        self.call(*is_subject, "on_pong", &String::from_utf8_lossy(payload), || {});
    }

    fn on_drain(&mut self, is_subject: &mut bool, _: &mut Peer<'_>) {
        self.call(*is_subject, "on_drain", "", || {});
    }

    fn on_close(&mut self, is_subject: bool, disconnect: &Disconnect<'_>) {
        let error = disconnect.error.map_or("ok".to_owned(), ToString::to_string);
        self.call(is_subject, "on_close", &format!("{} {error}", disconnect.code), || {});
    }
}
