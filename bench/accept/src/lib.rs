//! What the measured servers on tokio have in common: one thread that accepts, and serves all connections.
#![forbid(unsafe_code)]

use bench_options::{Options, announce};
use std::io;
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// Has each connection served by a task of its own, for ever.
///
/// # Errors
///
/// Those of the listening socket.
pub fn serve<F>(options: &Options, serve_connection: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        announce(listener.local_addr()?.port())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve_connection(stream));
        }
    })
}
