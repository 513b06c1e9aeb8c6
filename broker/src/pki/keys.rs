//! RSA keys and SHA-1 signatures, by the `openssl` program: ring makes neither, and a crate that does
//! takes a minute for an RSA-4096 key in a debug build.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use rcgen::{KeyPair, PKCS_RSA_SHA256};

use super::PkiError;
use crate::environment;

/// A new RSA key.
pub(super) fn rsa(bits: u32) -> Result<KeyPair, PkiError> {
    let what = if bits > 2048 { "an RSA-4096 key" } else { "an RSA-2048 key" };
    let size = format!("rsa_keygen_bits:{bits}");
    let pem = openssl(what, &["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &size], "")?;
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256)
        .map_err(|error| PkiError { what, found: error.to_string() })
}

/// Runs `openssl` with `input` on its standard input and returns what it writes to its output.
pub(super) fn openssl(
    what: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<String, PkiError> {
    let fault = |found: String| PkiError { what, found };
    let mut child = Command::new("openssl")
        .env_clear()
        .envs(environment::clean())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => fault(
                "there is no program `openssl` in PATH. Install it (`apt-get install openssl`)"
                    .into(),
            ),
            _ => fault(format!("`openssl` cannot be run: {error}")),
        })?;
    // It may end before it has read everything; then it prints why.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let output =
        child.wait_with_output().map_err(|error| fault(format!("`openssl` is gone: {error}")))?;
    match output.status.success() {
        true => String::from_utf8(output.stdout)
            .map_err(|_| fault("`openssl` wrote what is no text".into())),
        false => {
            let said = hilrig_core::text::printable(output.stderr.trim_ascii());
            Err(fault(format!("`openssl {}`: {}: {said}", arguments[0], output.status)))
        }
    }
}
