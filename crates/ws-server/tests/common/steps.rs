//! Faults at chosen steps: each call that the server makes of a socket, or of the handler for it, is a step.

use std::{cell::RefCell, io::ErrorKind, rc::Rc, sync::Once};

/// What the server calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    ShutdownWrite,
    /// This method of the handler.
    Handler(&'static str),
}

/// What goes wrong in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The socket fails, now and from now on.
    Fail(ErrorKind),
    /// A write takes nothing, and says so without an error.
    TakeNothing,
    /// The peer has ended its direction, and sends nothing of what it has not sent yet.
    End,
    /// The peer is never heard of again; or it takes nothing any more, if this is a write.
    Stall,
    /// A signal came first.
    Interrupt,
    /// The call would block, and then the socket is ready again.
    Block,
    /// One byte is read or written, and then the socket is ready again.
    OneByte,
    /// The handler panics before it does anything.
    PanicBefore,
    /// The handler panics when it has done everything.
    PanicAfter,
}

impl Call {
    /// All that can go wrong in such a call.
    pub fn faults(self) -> &'static [Fault] {
        use Fault::{Block, End, Fail, Interrupt, OneByte, PanicAfter, PanicBefore, Stall, TakeNothing};
        match self {
            Self::Read => &[
                Fail(ErrorKind::ConnectionReset),
                Fail(ErrorKind::TimedOut),
                End,
                Stall,
                Interrupt,
                Block,
                OneByte,
            ],
            Self::Write => &[
                Fail(ErrorKind::BrokenPipe),
                Fail(ErrorKind::ConnectionReset),
                TakeNothing,
                Stall,
                Interrupt,
                Block,
                OneByte,
            ],
            Self::ShutdownWrite => &[Fail(ErrorKind::NotConnected)],
            Self::Handler(_) => &[PanicBefore, PanicAfter],
        }
    }
}

/// The steps of one connection: those that were made, and what is to go wrong in which.
#[derive(Debug, Default)]
pub struct Steps {
    pub calls: Vec<Call>,
    /// What has gone wrong, and where.
    pub met: Vec<(usize, Call, Fault)>,
    /// The step, counted from 0, and which of the faults of its call.
    plan: Vec<(usize, usize)>,
}

impl Steps {
    /// With one of its faults, by number, at each of these steps. The number may be any: it is taken modulo how many
    /// faults there are.
    pub fn with_faults(plan: &[(usize, usize)]) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { plan: plan.to_vec(), ..Self::default() }))
    }

    /// The server makes this call. What goes wrong in it?
    pub fn next(&mut self, call: Call) -> Option<Fault> {
        let step = self.calls.len();
        self.calls.push(call);
        let (_, number) = *self.plan.iter().find(|(at, _)| *at == step)?;
        let fault = call.faults()[number % call.faults().len()];
        self.met.push((step, call, fault));
        Some(fault)
    }
}

/// The handler's panics with the message "asked for" are part of a test: what they print would only hide what matters.
pub fn silence_panics_asked_for() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some("asked for") {
                hook(info);
            }
        }));
    });
}
