//! What is asked of a broker of a case.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use hilrig_core::certify::BrokerTls;

use super::Home;
use crate::descriptions::Software;
use crate::pki::Material;
use crate::plan::Login;

/// What is asked of a broker of a case.
#[derive(Clone)]
pub struct Order {
    /// Which broker.
    pub software: &'static Software,
    /// Where it runs ([`Home::choose`]).
    pub home: Home,
    /// A folder that is not there yet, on a short path: it is made for the broker's files, and removed
    /// when the broker has ended.
    pub dir: PathBuf,
    /// How it does TLS. What is to stand before it ([`BrokerTls::front`]) is started with it, and its
    /// port is then the one of the broker.
    pub tls: BrokerTls,
    /// The certificates for that.
    pub material: Material,
    /// Who is let in, and nobody else, where the broker can tell ([`Software::can_ask_for_login`]).
    pub login: Login,
    /// Where it listens: loopback, unless boards must reach it over a network.
    pub listen: Ipv4Addr,
    /// For it to answer.
    pub deadline: Duration,
}
