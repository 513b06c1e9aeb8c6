//! The certificate of a broker: folded from events, compared, judged and written.

mod cipher_suite;
mod compare;
mod file;
mod files;
mod fold;
mod markdown;
mod noise;
mod policy;
mod policy_watch;
mod profile;
#[cfg(test)]
#[allow(dead_code, reason = "the tests of the crate as a whole use the rest")]
mod sample;
pub(crate) mod words;

pub use compare::{ComparisonKind, Difference, Differences, Meaning, differences};
pub use file::{CertificateError, certificates_in, read_certificate, seal};
pub use files::CertificateFiles;
pub use fold::Certification;
pub use markdown::{differences_markdown, markdown};
pub use policy_watch::PolicyWatch;
