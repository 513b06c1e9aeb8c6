//! The certification of brokers: which TLS settings of which broker a small device can talk to.

pub mod brokers;
