//! uWebSockets, the C++ server that others measure themselves by: `echo.cpp` is the server, this its command line.

use bench_options::{Compression, Options};
use std::ffi::c_int;

// SAFETY: the signature is that of the definition in `echo.cpp`, which asks nothing of its arguments.
unsafe extern "C" {
    safe fn bench_uwebsockets_run(
        port: c_int,
        compression: c_int,
        broadcast: bool,
        announce: extern "C" fn(c_int),
    );
}

fn main() {
    let options = Options::from_process();
    let compression = match options.compression {
        Compression::Off => 0,
        Compression::Shared => 1,
        Compression::Takeover => 2,
    };
    bench_uwebsockets_run(c_int::from(options.port), compression, options.broadcast, announce);
}

/// Called once, with -1 if nothing is listened on.
extern "C" fn announce(port: c_int) {
    let announced = u16::try_from(port).is_ok_and(|port| bench_options::announce(port).is_ok());
    if !announced {
        eprintln!("bench-uwebsockets: cannot listen");
        std::process::exit(1);
    }
}
