//! Brokers that the rig starts itself, with the certificates and settings of each case.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{NotSetUp, Trust};
use hilrig::{BrokerEndpoint, ClientCertificate};
use hilrig_broker::pki::Pki;
use hilrig_broker::{
    BrokerError, ClientMaterial, InstanceFacts, InstancePlan, Launcher, Login, Material,
};
use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, BrokerTls, Case, Identity};
use hilrig_core::event::{BrokerFacts, Events, What};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::board_line::BoardLine;
use super::clients::ClientsSetup;
use super::setup::{CaseSetup, Side};

/// Common parameters of all brokers of a certification.
#[derive(Clone)]
pub struct Workshop {
    /// The certificates.
    pub pki: Arc<Pki>,
    /// The run's folder.
    pub dir: PathBuf,
    /// Listen address of the relays; the brokers are on loopback.
    pub listen: Ipv4Addr,
    /// User and password.
    pub login: Login,
    /// Timeout for a broker to answer.
    pub deadline: Duration,
    /// Destination of notes.
    pub events: Events,
}

/// A broker that the rig starts.
pub struct OwnBroker {
    launcher: Launcher,
    workshop: Workshop,
    started: Cell<u32>,
}

impl OwnBroker {
    /// This one.
    pub fn new(launcher: Launcher, workshop: Workshop) -> OwnBroker {
        OwnBroker { launcher, workshop, started: Cell::new(0) }
    }

    /// A unique folder.
    fn folder(&self) -> PathBuf {
        let number = self.started.get();
        self.started.set(number + 1);
        self.workshop.dir.join(format!("{}-{number}", self.launcher.software().name))
    }
}

impl OwnBroker {
    pub(super) fn name(&self) -> &str {
        &self.launcher.software().name
    }

    pub(super) fn cannot(&self, case: &Case) -> Option<String> {
        let behaviour = match case.act {
            Act::Mqtt(Behaviour::WrongPassword) => self.launcher.software().can_ask_for_login(),
            Act::Mqtt(Behaviour::NoPermission) => self.launcher.software().can_forbid_topics(),
            _ => Ok(()),
        };
        self.launcher.software().can(&case.broker).and(behaviour).err()
    }

    pub(super) async fn prepare(&self, tls: &BrokerTls) {
        let (pki, tls) = (Arc::clone(&self.workshop.pki), *tls);
        // The files are kept, with the error.
        let made = tokio::task::spawn_blocking(move || {
            let _ = Material::of(&pki, &tls);
            let _ = trust(&pki, &tls);
        });
        let _ = made.await;
    }

    pub(super) async fn set_up(&self, tls: &BrokerTls) -> Result<CaseSetup, NotSetUp> {
        let broken = |why: String| NotSetUp::Broken(why);
        let (pki, tls) = (Arc::clone(&self.workshop.pki), *tls);
        // Key generation blocks.
        let made = tokio::task::spawn_blocking(move || {
            let material = Material::of(&pki, &tls).map_err(|error| error.to_string())?;
            Ok::<_, String>((material, trust(&pki, &tls)?))
        });
        let (material, trust) =
            made.await.map_err(|error| broken(error.to_string()))?.map_err(broken)?;
        let client = material.client.clone().filter(|_| tls.client_certificate);
        let shown = [Some(&material.shown), material.second.as_ref()];
        let leaves = shown.into_iter().flatten().map(|shown| shown.chain[0].to_vec()).collect();
        let order = InstancePlan {
            dir: self.folder(),
            tls,
            material,
            impostor: None,
            login: self.workshop.login.clone(),
            listen: Ipv4Addr::LOCALHOST,
            port: None,
            deadline: self.workshop.deadline,
        };
        let mut notes = |text| self.workshop.events.run(What::Note { text });
        let started = self.launcher.start(order, &mut notes).await;
        let instance = started.map_err(|error| match error {
            BrokerError::NotInstalled { .. } | BrokerError::CannotSetUp { .. } => {
                NotSetUp::NotRun(error.to_string())
            }
            error => NotSetUp::Broken(error.to_string()),
        })?;
        let login = instance.login();
        let own =
            client.map(|ClientMaterial { client, .. }| -> Result<ClientCertificate, String> {
                let key = PrivatePkcs8KeyDer::from_pem_slice(client.key_pem.as_bytes());
                Ok(ClientCertificate {
                    chain: client.chain.iter().map(|one| one.to_vec()).collect(),
                    key: key.map_err(|error| error.to_string())?.secret_pkcs8_der().to_vec(),
                })
            });
        let endpoint = BrokerEndpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            // The TLS front requires something that the rig's client does not send.
            port: instance.facts().own_port,
            impostor_port: 0,
            ca_der: trust.root.clone(),
            second_ca_der: trust.second_root.clone(),
            // The broker was seen to send them: the boards judge them.
            leaves,
            plain: None,
            server_name: self.workshop.pki.name().into(),
            credentials: login.map(|login| (login.user.clone(), login.password.clone())),
            client_certificate: own.transpose().map_err(broken)?,
        };
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, instance.port()));
        let line = BoardLine::new(self.workshop.listen, upstream);
        let facts = facts(instance.facts());
        Ok(CaseSetup {
            rig: ClientsSetup { dir: self.workshop.dir.clone(), deadline: self.workshop.deadline },
            endpoint,
            trust,
            line,
            facts,
            side: Side::Own(Box::new(instance)),
        })
    }
}

/// What a board verifies a broker with this set-up with. Blocks while certificates are generated.
fn trust(pki: &Pki, tls: &BrokerTls) -> Result<Trust, String> {
    let issued = |identity| pki.issued(identity).map_err(|error| error.to_string());
    let client = pki.client().map_err(|error| error.to_string())?;
    let shown = issued(tls.identity)?;
    let second = tls.second.map(issued).transpose()?;
    let intermediate = match tls.identity {
        Identity::Intermediate | Identity::RotatedIntermediate => {
            let first = pki.first_intermediate().map_err(|error| error.to_string())?;
            Some(first.to_vec())
        }
        _ => None,
    };
    Ok(Trust {
        root: shown.root().to_vec(),
        second_root: second.map(|second| second.root().to_vec()),
        first_intermediate: intermediate,
        pin: Some(shown.leaf_sha256()),
        pin_of_usual: Some(issued(BrokerTls::USUAL.identity)?.leaf_sha256()),
        always_client_certificate: false,
        client_certificate: Some(format!("{}{}", client.chain_pem(), client.key_pem())),
        validity: Some((pki.not_before().unix_timestamp(), pki.not_after().unix_timestamp())),
    })
}

fn facts(instance: &InstanceFacts) -> BrokerFacts {
    let InstanceFacts { name, version, kind, from, port, seconds, .. } = instance;
    BrokerFacts {
        kind: (*kind).into(),
        software: name.clone(),
        version: version.clone().unwrap_or_else(|| "unknown".into()),
        from: from.clone(),
        tls: None,
        port: *port,
        seconds: *seconds,
    }
}
