//! The environment of the programs that the rig starts.
//!
//! hilrig's own environment holds secrets: passwords that the configuration names by a variable, tokens of the
//! CI system. A broker is other people's code, and its environment can be read from outside. So a child gets
//! what a program needs to run, and nothing else.

use std::ffi::OsString;

/// What a program may need whatever it is: where programs and libraries are, the language of its messages, the
/// time zone of its log, where temporary files go, and OpenSSL's own configuration.
const KEPT: &[&str] = &[
    "PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
];

/// The variables that a child gets, after `env_clear`.
pub(crate) fn clean() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}
