//! A broker that is already running, which the rig only connects to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::{NotSetUp, Trust};
use hilrig::BrokerEndpoint;
use hilrig_broker::clients::{Looked, Tunnel, look};
use hilrig_core::certify::Case;
use hilrig_core::certify::outside::NEEDS_ALLOW_LOAD;
use hilrig_core::event::BrokerFacts;
use sha2::{Digest as _, Sha256};

use super::board_line::BoardLine;
use super::certificate_view;
use super::client_files::OwnCertificate;
use super::clients::ClientsSetup;
use super::outside::Outside;
use super::setup::{CaseSetup, Side};

/// A broker that is already running, as a certification target.
pub struct OutsideBroker {
    what: Outside,
    listen: Ipv4Addr,
    rig: ClientsSetup,
}

impl OutsideBroker {
    /// Relays listen on `listen`, files are written below `dir`, and an answer must arrive within `deadline`.
    pub fn new(what: Outside, listen: Ipv4Addr, dir: PathBuf, deadline: Duration) -> OutsideBroker {
        OutsideBroker { what, listen, rig: ClientsSetup { dir, deadline } }
    }

    pub(super) fn name(&self) -> &str {
        &self.what.name
    }

    pub(super) fn cannot(&self, case: &Case) -> Option<String> {
        let own = self.what.own.is_some() && case.is_about_own_certificate();
        if !case.fits_any_broker() && !own {
            return Some(
                "the broker would have to be set up for it, and the rig does not control this one"
                    .into(),
            );
        }
        (case.puts_load() && !self.what.allow_load).then(|| NEEDS_ALLOW_LOAD.into())
    }

    pub(super) async fn set_up(&self) -> Result<CaseSetup, NotSetUp> {
        let since = std::time::Instant::now();
        let looked = tokio::time::timeout(self.rig.deadline, self.look()).await;
        let (upstream, looked) = looked
            .unwrap_or_else(|_| {
                let within = hilrig_core::units::Span(self.rig.deadline);
                Err(format!("no TLS handshake with {} within {within}", self.what.name))
            })
            .map_err(NotSetUp::Broken)?;
        let what = &self.what;
        let login = what.login.as_ref();
        let leaf = looked.leaf().clone();
        let own = what.own.as_ref().map(OwnCertificate::pem);
        let tunnel = match &looked.needs_openssl {
            Some(_) => {
                Some(Tunnel::open(upstream, &what.server_name, &leaf, own, &self.rig.dir).map_err(
                    |error| {
                        let what = &what.name;
                        NotSetUp::Broken(format!("a line to {what} through openssl: {error}"))
                    },
                )?)
            }
            None => None,
        };
        let tls = how_it_is_known(&looked);
        Ok(CaseSetup {
            rig: self.rig.clone(),
            endpoint: BrokerEndpoint {
                host: upstream.ip().to_string(),
                port: what.port,
                impostor_port: 0,
                ca_der: what.ca().to_vec(),
                second_ca_der: what.cas.iter().find(|ca| *ca != what.ca()).map(|ca| ca.to_vec()),
                leaves: looked.doubt.iter().map(|_| leaf.to_vec()).collect(),
                plain: tunnel.as_ref().map(|tunnel| tunnel.path().to_owned()),
                server_name: what.server_name.clone(),
                credentials: login.map(|login| (login.user.clone(), login.password.clone())),
                client_certificate: what.own.as_ref().map(|own| own.der.clone()),
            },
            trust: Trust {
                root: what.ca().to_vec(),
                client_certificate: what.own.as_ref().map(|own| own.pem.clone()),
                always_client_certificate: what.own.is_some(),
                pin: Some(Sha256::digest(&leaf).into()),
                validity: certificate_view::validity(&leaf),
                ..Trust::default()
            },
            line: BoardLine::new(self.listen, upstream),
            side: Side::Outside { what: Box::new(what.clone()), _tunnel: tunnel },
            facts: BrokerFacts {
                kind: "outside".into(),
                software: what.name.clone(),
                version: "unknown".into(),
                from: what.name.clone(),
                tls: Some(tls),
                port: what.port,
                seconds: since.elapsed().as_secs_f64(),
            },
        })
    }
}

impl OutsideBroker {
    /// Its address and the certificates it sends there, valid or not: the board judges them.
    async fn look(&self) -> Result<(SocketAddr, Looked), String> {
        let Outside { name, server_name, reached, cas, own, .. } = &self.what;
        let address = reached.as_ref().ok_or("it was not looked for")?.address;
        let own = own.as_ref().map(OwnCertificate::pem);
        let looked = look(address, server_name, cas, own).await;
        looked.map(|looked| (address, looked)).map_err(|found| format!("{name}: {found}"))
    }
}

/// The TLS version, and how the rig's own clients verify the broker if they cannot check its certificate. An error
/// they find in the certificate is not a verdict: the boards judge it.
fn how_it_is_known(looked: &Looked) -> String {
    let mut words = vec![looked.tls.clone()];
    if let Some(doubt) = &looked.doubt {
        let sha256: String =
            Sha256::digest(looked.leaf()).iter().map(|byte| format!("{byte:02x}")).collect();
        words.push(format!(
            "the rig's own clients do not check the certificate ({doubt}), they accept the one with SHA-256 {sha256} alone"
        ));
    }
    if let Some(found) = &looked.needs_openssl {
        words.push(format!("they go through openssl, for rustls cannot ({found})"));
    }
    words.retain(|words| !words.is_empty());
    words.join("; ")
}
