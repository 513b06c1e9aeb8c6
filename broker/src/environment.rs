//! The environment of the programs that the rig starts.
//!
//! hilrig's own environment contains secrets: passwords that the configuration names by a variable, tokens of the CI
//! system. A broker is third-party code, and its environment can be read from outside. So a child gets only the
//! variables that a program needs to run.

use std::ffi::OsString;

/// Variables that any program may need: the paths of programs and libraries, the language of its messages, the time
/// zone of its log, the folder for temporary files, and OpenSSL's own configuration.
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
