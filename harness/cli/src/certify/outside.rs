//! A broker that runs already, which the rig only looks at.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hilrig::BrokerEndpoint;
use hilrig_broker::Login;
use hilrig_broker::clients::{Looked, Tunnel, look};
use hilrig_certify::{CaseBroker, CertifyBench, NotSetUp, Seen, Trust};
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::outside::NEEDS_ALLOW_LOAD;
use hilrig_core::certify::{BrokerTls, Case, CaseResult, Line};
use hilrig_core::event::BrokerFacts;
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::ask::{self, Rig};
use super::line::BoardLine;
use super::own::{self, OwnCertificate};
use super::reach::{self, Reached};
use super::{refused, shown};
use crate::args::CertifyRun;
use crate::error::Failure;

/// What the command line says of it.
#[derive(Clone)]
pub struct Outside {
    name: String,
    host: String,
    port: u16,
    server_name: String,
    cas: Vec<CertificateDer<'static>>,
    login: Option<Login>,
    own: Option<OwnCertificate>,
    allow_load: bool,
    /// What was found before any board was touched.
    reached: Option<Reached>,
}

impl Outside {
    /// Reads it, and the files that it names.
    pub fn of(args: &CertifyRun) -> Result<Outside, Failure> {
        let wrong = |found: &str| Failure::usage(format!("--broker {}: {found}", args.broker));
        let (host, port) =
            args.broker.rsplit_once(':').ok_or_else(|| wrong("with --ca this is HOST:PORT"))?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| wrong("the port is a number from 1 to 65535"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("this is HOST:PORT"));
        }
        let Some(file) = &args.ca else {
            return Err(wrong("it needs the broker's CA, --ca FILE: what it shows is verified"));
        };
        let server_name = args.name.clone().unwrap_or_else(|| host.into());
        ServerName::try_from(server_name.clone()).map_err(|_| {
            wrong(&format!("`{server_name}` is no name that a certificate can be for (--name)"))
        })?;
        let login = match (&args.user, &args.password_file) {
            (Some(user), Some(file)) => {
                Some(Login { user: user.clone(), password: own::password(file)? })
            }
            _ => None,
        };
        let certificate = match (&args.client_cert, &args.client_key) {
            (Some(certificate), Some(key)) => Some(own::certificate(certificate, key)?),
            _ => None,
        };
        Ok(Outside {
            name: args.broker.clone(),
            host: host.into(),
            port,
            server_name,
            cas: own::cas(file)?,
            login,
            own: certificate,
            allow_load: args.allow_load,
            reached: None,
        })
    }

    /// Makes sure that it is there; nothing of the bench is touched yet.
    pub async fn reach(self, deadline: Duration) -> Result<Outside, Failure> {
        let Outside { name, host, port, server_name, cas, own, .. } = &self;
        let own = own.as_ref().map(OwnCertificate::pem);
        let reached = reach::reach(host, *port, server_name, cas, own, deadline).await;
        let reached = reached.map_err(|found| Failure::rig(format!("--broker {name}: {found}")))?;
        Ok(Outside { reached: Some(reached), ..self })
    }

    /// The CA that the boards are given: of several, the one that the broker's certificate comes from.
    fn ca(&self) -> &CertificateDer<'static> {
        let chain = self.reached.as_ref().map(|reached| &reached.chain[..]);
        shown::fitting(&self.cas, chain.unwrap_or_default())
    }

    /// What must be shown nowhere.
    pub fn secrets(&self) -> Vec<String> {
        let password = self.login.as_ref().map(|login| login.password.clone());
        let key = self.own.as_ref().map(OwnCertificate::key_lines).unwrap_or_default();
        password.into_iter().chain(key).collect()
    }

    /// As something to certify. Relays listen at `listen`, files go below `dir`, and an answer must come
    /// within `deadline`.
    pub fn at(self, listen: Ipv4Addr, dir: PathBuf, deadline: Duration) -> OutsideBroker {
        OutsideBroker { what: self, listen, rig: Rig { dir, deadline } }
    }
}

/// It, as something to certify.
pub struct OutsideBroker {
    what: Outside,
    listen: Ipv4Addr,
    rig: Rig,
}

#[async_trait(?Send)]
impl CertifyBench for OutsideBroker {
    fn name(&self) -> &str {
        &self.what.name
    }

    fn cannot(&self, case: &Case) -> Option<String> {
        let own = self.what.own.is_some() && case.is_about_own_certificate();
        if !case.fits_any_broker() && !own {
            return Some(
                "the broker would have to be set up for it, and the rig does not control this one"
                    .into(),
            );
        }
        (case.puts_load() && !self.what.allow_load).then(|| NEEDS_ALLOW_LOAD.into())
    }

    async fn set_up(&self, _: &BrokerTls) -> Result<Box<dyn CaseBroker>, NotSetUp> {
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
        Ok(Box::new(OutsideCase {
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
                validity: shown::validity(&leaf),
                ..Trust::default()
            },
            line: BoardLine::new(self.listen, upstream),
            _tunnel: tunnel,
            what: what.clone(),
            facts: BrokerFacts {
                kind: "outside".into(),
                software: what.name.clone(),
                version: "unknown".into(),
                from: what.name.clone(),
                tls: Some(tls),
                port: what.port,
                seconds: since.elapsed().as_secs_f64(),
            },
        }))
    }
}

impl OutsideBroker {
    /// Its address, and what it shows there. Whatever that is: the board is the judge of it.
    async fn look(&self) -> Result<(SocketAddr, Looked), String> {
        let Outside { name, server_name, reached, cas, own, .. } = &self.what;
        let address = reached.as_ref().ok_or("it was not looked for")?.address;
        let own = own.as_ref().map(OwnCertificate::pem);
        let looked = look(address, server_name, cas, own).await;
        looked.map(|looked| (address, looked)).map_err(|found| format!("{name}: {found}"))
    }
}

/// The version of TLS, and how the rig's own clients know the broker where they cannot check its certificate. What is
/// wrong with it for them is no verdict: the boards judge it.
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

/// It, with a line to it.
struct OutsideCase {
    rig: Rig,
    endpoint: BrokerEndpoint,
    trust: Trust,
    line: BoardLine,
    /// The way of the rig's own clients, where rustls has none.
    _tunnel: Option<Tunnel>,
    what: Outside,
    facts: BrokerFacts,
}

#[async_trait(?Send)]
impl CaseBroker for OutsideCase {
    fn facts(&self) -> BrokerFacts {
        self.facts.clone()
    }

    fn tls_library(&self) -> Option<String> {
        None
    }

    fn endpoint(&self) -> &BrokerEndpoint {
        &self.endpoint
    }

    fn forbidden(&self) -> Option<&str> {
        None
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

    async fn why_refused(&self, result: &CaseResult) -> Option<String> {
        let given = refused::Given {
            name: &self.what.server_name,
            ca: self.what.ca(),
            login: self.what.login.is_some(),
            certificate: self.what.own.is_some(),
        };
        Some(refused::explain(result, &given, self.what.reached.as_ref()?))
    }

    async fn restart(&mut self) -> Result<(), String> {
        Err("the rig does not control this broker".into())
    }

    /// It is asked once more only when it is set up for other cases; a broker that went away meanwhile
    /// shows in the boards' refusals.
    async fn gone(&mut self) -> Option<String> {
        let connected =
            tokio::time::timeout(self.rig.deadline, TcpStream::connect(self.line.upstream()));
        match connected.await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no connection within the deadline".into()),
        }
    }

    async fn stop(mut self: Box<Self>) {
        self.line.hang_up();
    }
}
