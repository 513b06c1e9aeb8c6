//! The certificate of a broker: what the events of a certification come to.

mod file;
mod fold;
mod words;

pub use file::{CertificateError, certificates_in, read_certificate, seal};
pub use fold::Certification;
pub(crate) use hilrig_core::certify::certificate::Verdict;
pub(crate) use words::{came_of, verdict_words};
