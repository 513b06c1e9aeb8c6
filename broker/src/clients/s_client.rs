//! `openssl s_client` as a client for what rustls does not support: all keys and signatures of OpenSSL, old suites,
//! certificates of an old version.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::engine::child;
use crate::{environment, program};

/// The path of the program, or what to do.
pub(super) fn executable() -> Result<PathBuf, String> {
    program::look_up(Path::new("openssl"))
        .map_err(|found| format!("{found}; install it (`apt-get install openssl`)"))
}

/// A client of the broker at `address` that asks for `name`, with every suite and every version that OpenSSL has.
/// The machine's own configuration of OpenSSL, which may forbid these, is left out.
pub(super) fn command(address: SocketAddr, name: &str) -> Result<Command, String> {
    let mut command = Command::new(executable()?);
    command
        .env_clear()
        .envs(environment::clean())
        .env("OPENSSL_CONF", "/dev/null")
        .args(["s_client", "-connect", &address.to_string()])
        .args(["-cipher", "ALL:@SECLEVEL=0", "-legacy_server_connect"])
        .args(["-no-CAfile", "-no-CApath", "-no-CAstore"]);
    match name.parse::<std::net::IpAddr>() {
        Ok(_) => command.arg("-noservername"),
        Err(_) => command.args(["-servername", name]),
    };
    child::tie(&mut command);
    Ok(command)
}
