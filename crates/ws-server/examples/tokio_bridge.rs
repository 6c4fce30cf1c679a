//! A bridge to tokio: messages go to a task, and its answers come back through a `Remote`.
//!
//! The queue between them is bounded and nothing is lost: a client whose message does not fit is
//! paused until there is room.

use std::{error::Error, time::Duration};
use tokio::{
    runtime::{self, Runtime},
    sync::mpsc::{self, error::TrySendError},
};
use ws_server::{
    CloseCode, Config, ConnectionId, Handler, Message, OwnedMessage, Peer, Prepared, Remote, RemoteError,
    Server,
};

/// The most messages that wait for the task.
const MAX_JOBS: usize = 256;

/// A message, and the connection to answer.
struct Job {
    from: ConnectionId,
    message: OwnedMessage,
}

/// One worker's end of the bridge.
struct Bridge {
    jobs: mpsc::Sender<Job>,
    runtime: runtime::Handle,
}

impl Handler for Bridge {
    type Session = ();

    fn on_message(&mut self, _: &mut (), peer: &mut Peer<'_>, message: Message<'_>) {
        match self.jobs.try_send(Job { from: peer.id(), message: message.into() }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => {
                // No further message of this client comes before `resume`, so one job a client
                // waits outside of the queue, and the order is kept.
                peer.pause();
                self.runtime.spawn(queue_and_resume(self.jobs.clone(), job, peer.remote().clone()));
            }
            Err(TrySendError::Closed(_)) => {
                peer.close(CloseCode::INTERNAL_ERROR, "nobody answers");
            }
        }
    }
}

/// Queues a job once half of the queue is free, and reads from its client again. To resume the
/// client for each free place would pause it again at once.
async fn queue_and_resume(jobs: mpsc::Sender<Job>, job: Job, remote: Remote) {
    let from = job.from;
    let is_queued = match jobs.reserve_many(MAX_JOBS / 2).await {
        Ok(mut places) => places.next().map(|place| place.send(job)).is_some(),
        Err(_) => false, // the task is gone
    };
    let command = || match is_queued {
        true => remote.resume(from),
        false => remote.close(from, CloseCode::INTERNAL_ERROR, "nobody answers"),
    };
    // An error means that the server stops, and closes its connections by itself.
    let _ = when_there_is_room(command).await;
}

/// Answers the jobs, in order.
async fn answer_all(mut jobs: mpsc::Receiver<Job>, remote: Remote) {
    while let Some(Job { from, message }) = jobs.recv().await {
        let answer = answer(message).await;
        if when_there_is_room(|| remote.send(from, &answer)).await.is_err() {
            return; // the server stops
        }
    }
}

/// The work: a database or another service would be awaited here.
async fn answer(message: OwnedMessage) -> Prepared {
    tokio::task::yield_now().await;
    match message {
        OwnedMessage::Text(text) => text.to_uppercase().into(),
        OwnedMessage::Binary(bytes) => bytes.into(),
    }
}

/// Repeats a command while the mailbox of its worker is full. A task must not block, as
/// `Remote::send_within` does.
async fn when_there_is_room(command: impl Fn() -> Result<(), RemoteError>) -> Result<(), RemoteError> {
    loop {
        match command() {
            Err(RemoteError::Full { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            done => return done,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let server = Server::bind(addr, Config::default())?;
    for addr in server.local_addrs() {
        println!("listening on ws://{addr}");
    }
    let runtime: Runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
    let (jobs, waiting_jobs) = mpsc::channel(MAX_JOBS);
    runtime.spawn(answer_all(waiting_jobs, server.remote()));
    Ok(server.run(|_worker| Bridge { jobs: jobs.clone(), runtime: runtime.handle().clone() })?)
}
