//! The certification of a broker for small devices: the test cases ([`matrix`]), their set-up ([`setup`]), what is
//! seen on the wire ([`wire`]), and the result ([`certificate`]).

pub mod case;
pub mod certificate;
pub mod matrix;
pub mod outside;
mod repetitions;
mod require;
pub mod setup;
pub mod wire;
mod words;

pub use case::{Act, Case, Expected, Reason};
pub use certificate::{
    CaseEnded, CaseResult, Certificate, CertifyEnded, CertifyStarted, Cost, Outcome, Tally,
};
pub use repetitions::{Range, Repetitions, Spread};
pub use require::{Figure, Requirement};
pub use setup::{BoardTls, BrokerTls, Clock, Front, Identity, Line, Suites, Trust, Versions};
pub use wire::{Alert, Ended, HandshakeAt, Offered, Side, Taken, WireSeen};
