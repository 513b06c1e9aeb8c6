//! The certificate of a broker: what the events of a certification come to.

mod fold;
mod words;

pub use fold::Certification;
pub(crate) use hilrig_core::certify::certificate::Verdict;
pub(crate) use words::{came_of, verdict_words};
