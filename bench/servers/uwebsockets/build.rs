//! Builds uWebSockets from the source that the crate `libuwebsockets-sys` bundles, the way its own makefile does: epoll,
//! no TLS, `-O3`, and with link-time optimisation where the compiler is GCC.

use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE_CRATE: &str = "libuwebsockets-sys";

fn main() -> Result<(), Box<dyn Error>> {
    let source = source()?;
    let (sockets, headers) = (source.join("uSockets/src"), source.join("src"));
    let with_lto = cc::Build::new().cpp(true).get_compiler().is_like_gnu();
    let build = |cpp| {
        let mut build = cc::Build::new();
        build.cpp(cpp).opt_level(3).include(&sockets).include(&headers).warnings(false);
        build.define("LIBUS_NO_SSL", None);
        if with_lto {
            build.flag("-flto").flag("-ffat-lto-objects");
        }
        build
    };
    build(true).std("c++20").file("src/echo.cpp").compile("uwebsockets_echo");
    let files = ["bsd.c", "context.c", "loop.c", "socket.c", "udp.c", "eventing/epoll_kqueue.c"];
    build(false).std("c11").files(files.map(|file| sockets.join(file))).compile("usockets");

    println!("cargo:rustc-link-lib=z");
    if with_lto {
        // The linker that rustc brings does not know GCC's intermediate code.
        for argument in ["-fuse-ld=bfd", "-flto", "-O3"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
    for file in ["build.rs", "src/echo.cpp", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={file}");
    }
    Ok(())
}

/// Where Cargo has put the bundled source.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").ok_or("not run by Cargo")?;
    let output = Command::new(cargo).args(["metadata", "--format-version", "1", "--locked"]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .find(|package| package["name"] == SOURCE_CRATE)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("Cargo does not know the crate with the source")?;
    Ok(Path::new(manifest).parent().ok_or("a manifest without a folder")?.join("uWebSockets"))
}
