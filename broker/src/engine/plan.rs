//! The settings of a broker.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use hilrig_core::certify::BrokerTls;

use crate::login::Login;
use crate::pki::{Material, Shown};

/// The settings of a broker.
#[derive(Clone)]
pub struct InstancePlan {
    /// A new folder with a short path: it is created for the broker's files, and removed when the broker has ended.
    pub dir: PathBuf,
    /// Its TLS set-up. A front ([`BrokerTls::front`]) is started with it, and the front's port is then the port of
    /// the broker.
    pub tls: BrokerTls,
    /// The certificates for that.
    pub material: Material,
    /// A certificate for the same name from another CA, which a second port shows, so that a check can prove
    /// that a board refuses it.
    pub impostor: Option<Shown>,
    /// The user that the broker accepts, and no other, where it can ask for one ([`BrokerDescription::can_ask_for_login`](crate::BrokerDescription::can_ask_for_login)).
    pub login: Login,
    /// Where it listens: loopback, unless boards must reach it over a network.
    pub listen: Ipv4Addr,
    /// Its port for MQTT over TLS, or any free one.
    pub port: Option<u16>,
    /// Deadline for its answer.
    pub deadline: Duration,
}
