//! What the rig does over TLS itself: it asks a broker for a CONNACK, checks certificates, and is a TLS front.

pub(crate) mod connack;
pub(crate) mod front;
pub(crate) mod verifier;
