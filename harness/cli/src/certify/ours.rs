//! Brokers that the rig starts itself, each case's with the certificates and the settings that it is about.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hilrig::{BrokerEndpoint, ClientCertificate};
use hilrig_broker::Login;
use hilrig_broker::pki::Pki;
use hilrig_broker::{
    BrokerError, ClientMaterial, FORBIDDEN, Instance, InstanceFacts, Launcher, Material, Order,
};
use hilrig_certify::{CaseBroker, CertifyBench, NotSetUp, Seen, Trust};
use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Act, BrokerTls, Case, Identity, Line};
use hilrig_core::event::{BrokerFacts, Events, What};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::ask::{self, Rig};
use super::line::BoardLine;

/// What all brokers of a certification are made with.
#[derive(Clone)]
pub struct Workshop {
    /// The certificates.
    pub pki: Arc<Pki>,
    /// The run's folder.
    pub dir: PathBuf,
    /// Where relays listen; the brokers are on loopback.
    pub listen: Ipv4Addr,
    /// User and password.
    pub login: Login,
    /// For a broker to answer.
    pub deadline: Duration,
    /// Where notes go.
    pub events: Events,
}

/// A broker that the rig starts.
pub struct OurBroker {
    launcher: Launcher,
    workshop: Workshop,
    started: Cell<u32>,
}

impl OurBroker {
    /// This one.
    pub fn new(launcher: Launcher, workshop: Workshop) -> OurBroker {
        OurBroker { launcher, workshop, started: Cell::new(0) }
    }

    /// A folder that no other has.
    fn folder(&self) -> PathBuf {
        let number = self.started.get();
        self.started.set(number + 1);
        self.workshop.dir.join(format!("{}-{number}", self.launcher.software().name))
    }
}

#[async_trait(?Send)]
impl CertifyBench for OurBroker {
    fn name(&self) -> &str {
        &self.launcher.software().name
    }

    fn cannot(&self, case: &Case) -> Option<String> {
        let behaviour = match case.act {
            Act::Mqtt(Behaviour::WrongPassword) => self.launcher.software().can_ask_for_login(),
            Act::Mqtt(Behaviour::NoPermission) => self.launcher.software().can_forbid_topics(),
            _ => Ok(()),
        };
        self.launcher.software().can(&case.broker).and(behaviour).err()
    }

    async fn prepare(&self, tls: &BrokerTls) {
        let (pki, tls) = (Arc::clone(&self.workshop.pki), *tls);
        // They are kept, with what went wrong.
        let made = tokio::task::spawn_blocking(move || {
            let _ = Material::of(&pki, &tls);
            let _ = trust(&pki, &tls);
        });
        let _ = made.await;
    }

    async fn set_up(&self, tls: &BrokerTls) -> Result<Box<dyn CaseBroker>, NotSetUp> {
        let broken = |why: String| NotSetUp::Broken(why);
        let (pki, tls) = (Arc::clone(&self.workshop.pki), *tls);
        // Making keys blocks.
        let made = tokio::task::spawn_blocking(move || {
            let material = Material::of(&pki, &tls).map_err(|error| error.to_string())?;
            Ok::<_, String>((material, trust(&pki, &tls)?))
        });
        let (material, trust) =
            made.await.map_err(|error| broken(error.to_string()))?.map_err(broken)?;
        let client = material.client.clone().filter(|_| tls.client_certificate);
        let shown = [Some(&material.shown), material.second.as_ref()];
        let leaves = shown.into_iter().flatten().map(|shown| shown.chain[0].to_vec()).collect();
        let order = Order {
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
            // What stands before it wants what the rig's client does not say.
            port: instance.facts().own_port,
            impostor_port: 0,
            ca_der: trust.root.clone(),
            second_ca_der: trust.second_root.clone(),
            // The broker was seen to show them: the boards judge them.
            leaves,
            plain: None,
            server_name: self.workshop.pki.name().into(),
            credentials: login.map(|login| (login.user.clone(), login.password.clone())),
            client_certificate: own.transpose().map_err(broken)?,
        };
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, instance.port()));
        let line = BoardLine::new(self.workshop.listen, upstream);
        Ok(Box::new(OurCase {
            rig: Rig { dir: self.workshop.dir.clone(), deadline: self.workshop.deadline },
            instance,
            endpoint,
            trust,
            line,
        }))
    }
}

/// What a board is to go by at a broker that is set up so. Blocks while certificates are made.
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

/// A broker of the rig's own, set up for cases.
struct OurCase {
    rig: Rig,
    instance: Instance,
    endpoint: BrokerEndpoint,
    trust: Trust,
    line: BoardLine,
}

#[async_trait(?Send)]
impl CaseBroker for OurCase {
    fn facts(&self) -> BrokerFacts {
        let InstanceFacts { name, version, kind, from, port, seconds, .. } = self.instance.facts();
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

    fn tls_library(&self) -> Option<String> {
        let facts = self.instance.facts();
        let version = facts.tls_version.iter().flat_map(|version| [" ", version.as_str()]);
        Some([facts.tls_library.as_str()].into_iter().chain(version).collect())
    }

    fn endpoint(&self) -> &BrokerEndpoint {
        &self.endpoint
    }

    fn forbidden(&self) -> Option<&str> {
        self.instance.software().can_forbid_topics().is_ok().then_some(FORBIDDEN)
    }

    fn trust(&self) -> &Trust {
        &self.trust
    }

    async fn begin(&mut self, line: Line) -> Result<u16, String> {
        self.line.begin(line).await
    }

    fn cut(&self) {
        self.line.cut();
    }

    async fn hang_up(&mut self) {
        self.line.hang_up();
    }

    fn seen(&self) -> Seen {
        self.line.seen()
    }

    async fn other_clients(&self, case: &Case) -> Vec<OtherClient> {
        ask::other_clients(&self.rig, self.line.upstream(), &self.endpoint, &self.trust, case).await
    }

    async fn ask_for_mfln(&self) -> Result<String, String> {
        ask::mfln(&self.rig, self.line.upstream(), &self.endpoint).await
    }

    async fn stall(&self) -> Result<String, String> {
        ask::stall(&self.rig, self.line.upstream(), &self.endpoint, &self.trust).await
    }

    async fn restart(&mut self) -> Result<(), String> {
        self.instance.restart().await.map_err(|error| error.to_string())
    }

    async fn gone(&mut self) -> Option<String> {
        tokio::time::timeout(Duration::ZERO, self.instance.gone()).await.ok()
    }

    async fn stop(mut self: Box<Self>) {
        self.line.hang_up();
        self.instance.stop().await;
    }
}
