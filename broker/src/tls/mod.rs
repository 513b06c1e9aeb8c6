//! What the rig does over TLS itself: it asks a broker for a CONNACK, and stands before one.

pub(crate) mod connack;
pub(crate) mod front;
pub(crate) mod verifier;
