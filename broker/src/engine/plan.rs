//! What is asked of a broker.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use hilrig_core::certify::BrokerTls;

use crate::login::Login;
use crate::pki::{Material, Shown};

/// What is asked of a broker.
#[derive(Clone)]
pub struct InstancePlan {
    /// A folder that is not there yet, on a short path: it is made for the broker's files, and removed
    /// when the broker has ended.
    pub dir: PathBuf,
    /// How it does TLS. What is to stand before it ([`BrokerTls::front`]) is started with it, and its
    /// port is then the one of the broker.
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
    /// For it to answer.
    pub deadline: Duration,
}
