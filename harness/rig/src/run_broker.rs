//! The broker of a run: started, restarted, watched and stopped.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilrig_broker::{
    BrokerDescription, BrokerError, BrokerKind, Certificates, Instance, InstanceFacts,
    InstancePlan, Launcher, Login, Material, SERVER_NAME,
};
use hilrig_core::certify::BrokerTls;
use hilrig_core::config::BrokerConfig;
use hilrig_core::event::{BrokerFacts, Events, What};

use crate::BrokerEndpoint;

/// What `--broker` of a run names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerChoice {
    /// Where the configured broker runs.
    Kind(BrokerKind),
    /// Another broker, where the configuration wants it.
    Named(String),
}

impl BrokerChoice {
    /// Replaces the configured broker. A port is kept; a program and an image belong to one broker.
    pub fn override_in(&self, config: &mut BrokerConfig) {
        match self {
            BrokerChoice::Kind(kind) => config.kind = *kind,
            BrokerChoice::Named(name) if config.software == *name => {}
            BrokerChoice::Named(name) => {
                config.software.clone_from(name);
                (config.image, config.executable) = (None, None);
            }
        }
    }
}

/// The settings of a run's broker.
#[derive(Clone)]
pub struct RunBrokerPlan {
    /// Which broker, with its program and its image.
    pub software: Arc<BrokerDescription>,
    /// Where it runs.
    pub kind: BrokerKind,
    /// Where its listeners listen: loopback, unless a board must reach them over a network.
    pub listen: Ipv4Addr,
    /// Port of the main listener, or any free one.
    pub port: Option<u16>,
    /// The run's id. It is a label on everything that is started, so that a later run can find the owner.
    pub run: String,
    /// The run's folder; files of the broker go below it.
    pub dir: PathBuf,
    /// User and password. The broker accepts no client without them, if it can require a login.
    pub login: Login,
    /// Deadline for the broker's answer, once its image is there.
    pub deadline: Duration,
    /// The longest time that the run may take: the certificates are valid for longer.
    pub longest: Duration,
}

impl RunBrokerPlan {
    /// A plan for the configured broker ([`BrokerDescription::configured`]), on loopback and with a password of its own.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(
        software: Arc<BrokerDescription>,
        config: &BrokerConfig,
        run: impl Into<String>,
        dir: impl Into<PathBuf>,
        deadline: Duration,
    ) -> Result<RunBrokerPlan, BrokerError> {
        Ok(RunBrokerPlan {
            software,
            kind: config.kind,
            listen: Ipv4Addr::LOCALHOST,
            port: config.port,
            run: run.into(),
            dir: dir.into(),
            login: Login::random()?,
            deadline,
            longest: Duration::ZERO,
        })
    }
}

/// The broker of a run.
pub struct RunBroker {
    plan: RunBrokerPlan,
    events: Events,
    instance: Option<Instance>,
}

impl RunBroker {
    /// The broker of this plan. Notes on its start go to `events`.
    pub fn new(plan: RunBrokerPlan, events: Events) -> RunBroker {
        RunBroker { plan, events, instance: None }
    }

    /// Starts it and returns when it has answered a TLS connection with CONNACK.
    pub(crate) async fn start(&mut self) -> Result<(BrokerEndpoint, BrokerFacts), String> {
        let RunBrokerPlan { software, kind, listen, port, run, dir, login, deadline, longest } =
            self.plan.clone();
        let mut note = |text| self.events.run(What::Note { text });
        let made = Certificates::lasting(SERVER_NAME, longest);
        let certificates =
            made.map_err(|error| format!("cannot make the run's certificates: {error}"))?;
        let launcher = Launcher::choose(software, kind, &run, &mut note).await;
        let launcher = launcher.map_err(|error| error.to_string())?;
        let order = InstancePlan {
            dir: dir.join("broker"),
            tls: BrokerTls::USUAL,
            material: Material::from(&certificates),
            impostor: Some(certificates.impostor().clone()),
            login,
            listen,
            port,
            deadline,
        };
        let instance = launcher.start(order, &mut note).await.map_err(|error| error.to_string())?;
        let InstanceFacts { name, version, kind, from, port, impostor_port, seconds, .. } =
            instance.facts().clone();
        let login = instance.login();
        let endpoint = BrokerEndpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            impostor_port: impostor_port.unwrap_or_default(),
            ca_der: certificates.ca_der().to_vec(),
            second_ca_der: None,
            leaves: Vec::new(),
            plain: None,
            server_name: SERVER_NAME.into(),
            credentials: login.map(|login| (login.user.clone(), login.password.clone())),
            client_certificate: None,
        };
        let facts = BrokerFacts {
            kind: kind.into(),
            software: name,
            version: version.unwrap_or_else(|| "unknown".into()),
            from,
            tls: Some(certificates.profile().into()),
            port,
            seconds,
        };
        self.instance = Some(instance);
        Ok((endpoint, facts))
    }

    /// Stops the broker and starts it again with the same settings. Returns when it answers.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        let instance = self.instance.as_mut().ok_or("the broker was never started")?;
        instance.restart().await.map_err(|error| error.to_string())
    }

    /// Resolves with what was found when the broker ends by itself.
    pub(crate) async fn gone(&self) -> String {
        match &self.instance {
            Some(instance) => instance.gone().await,
            None => std::future::pending().await,
        }
    }

    /// Stops it and removes everything that it left. A second call does nothing.
    pub(crate) async fn stop(&mut self) {
        if let Some(instance) = &mut self.instance {
            instance.stop().await;
        }
    }
}
