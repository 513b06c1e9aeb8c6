//! The broker of a pool, as the pool drives it.

use async_trait::async_trait;
use hilrig_core::event::BrokerFacts;

use crate::BrokerEndpoint;

/// The broker of a pool.
#[async_trait(?Send)]
pub trait BenchBroker {
    /// Starts it, up to a CONNACK over TLS.
    async fn start(&mut self) -> Result<(BrokerEndpoint, BrokerFacts), String>;
    /// Stops it and starts it again, up to a CONNACK over TLS: as it was, without its sessions.
    async fn restart(&mut self) -> Result<(), String>;
    /// Waits until it is gone. Gives what was found.
    async fn gone(&mut self) -> String;
    /// Stops it and leaves nothing behind. Called however the run ended.
    async fn stop(&mut self);
}
