//! What the broker's tests share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hilrig_broker::{
    BrokerDescription, BrokerError, BrokerKind, Certificates, Instance, InstancePlan, Launcher,
    Login, Material, SERVER_NAME,
};
use hilrig_core::certify::BrokerTls;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, MqttOptions, Packet, QoS,
    TlsConfiguration, Transport,
};
use rustix::process::Pid;
use rustls::ClientConfig;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::ListContainersOptionsBuilder;
use testcontainers::core::client::docker_client_instance;

/// For anything that is waited for; far more than it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A run id that no other test has.
pub fn run_id(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a run asks of its broker, with Mosquitto as it is found.
#[derive(Clone)]
pub struct Plan {
    pub software: Arc<BrokerDescription>,
    pub kind: BrokerKind,
    pub port: Option<u16>,
    pub run: String,
    pub dir: PathBuf,
    pub deadline: Duration,
}

pub fn plan(kind: BrokerKind, name: &str, dir: &Path) -> Plan {
    Plan {
        software: BrokerDescription::named("mosquitto").unwrap(),
        kind,
        port: None,
        run: run_id(name),
        dir: dir.into(),
        deadline: PATIENCE,
    }
}

/// A broker of a run, with its certificates and the notes of its start.
pub struct Started {
    pub instance: Instance,
    pub certificates: Certificates,
    pub notes: Vec<String>,
}

impl Started {
    pub fn impostor_port(&self) -> u16 {
        self.instance.facts().impostor_port.expect("it was asked for")
    }

    pub fn login(&self) -> (&str, &str) {
        let login = self.instance.login().expect("it asks for one");
        (&login.user, &login.password)
    }
}

/// Starts it as a run does.
pub async fn try_start(plan: Plan) -> Result<Started, BrokerError> {
    let mut notes = Vec::new();
    let mut note = |text| notes.push(text);
    let certificates = Certificates::new(SERVER_NAME).unwrap();
    let launcher = Launcher::choose(plan.software, plan.kind, &plan.run, &mut note).await?;
    let order = InstancePlan {
        dir: plan.dir.join("broker"),
        tls: BrokerTls::USUAL,
        material: Material::from(&certificates),
        impostor: Some(certificates.impostor().clone()),
        login: Login::random().unwrap(),
        listen: std::net::Ipv4Addr::LOCALHOST,
        port: plan.port,
        deadline: plan.deadline,
    };
    let instance = launcher.start(order, &mut note).await?;
    Ok(Started { instance, certificates, notes })
}

pub async fn start(plan: Plan) -> Started {
    try_start(plan).await.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn fails(plan: Plan) -> BrokerError {
    try_start(plan).await.err().expect("it cannot start")
}

/// Pids of the processes that have a folder in their command line, as a Mosquitto has.
pub fn mosquittos(dir: &Path) -> Vec<Pid> {
    let dir = dir.to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&command).contains(&dir).then(|| Pid::from_raw(pid))?
    });
    pids.collect()
}

/// A client of rumqttc's for 127.0.0.1.
fn options(port: u16, tls: Arc<ClientConfig>, login: (&str, &str)) -> MqttOptions {
    let mut options = MqttOptions::new("a-client", "127.0.0.1", port);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    options.set_credentials(login.0, login.1);
    options
}

/// Subscribes, publishes, and returns what comes back.
pub async fn echo(port: u16, tls: Arc<ClientConfig>, login: (&str, &str)) -> Vec<u8> {
    let (client, mut events) = AsyncClient::new(options(port, tls, login), 10);
    client.subscribe("a/topic", QoS::AtMostOnce).await.unwrap();
    let exchange = async {
        loop {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    client.publish("a/topic", QoS::AtMostOnce, false, "hello").await.unwrap();
                }
                Event::Incoming(Packet::Publish(publish)) => return publish.payload.to_vec(),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("nothing came back")
}

/// What the first attempt to connect comes to.
pub async fn refusal(port: u16, tls: Arc<ClientConfig>, login: (&str, &str)) -> ConnectionError {
    let (_client, mut events) = AsyncClient::new(options(port, tls, login), 10);
    match tokio::time::timeout(PATIENCE, events.poll()).await.expect("no answer") {
        Ok(event) => panic!("it was let in: {event:?}"),
        Err(error) => error,
    }
}

/// The broker serves whom it should and nobody else, and the impostor is one.
pub async fn serves_tls(broker: &Started, other_ca: &rustls::pki_types::CertificateDer<'static>) {
    let tls = hilrig_broker::client_tls(broker.certificates.ca_der()).unwrap();
    assert_eq!(echo(broker.instance.port(), tls.clone(), broker.login()).await, b"hello");

    let (user, password) = broker.login();
    let wrong = format!("{password}x");
    for login in [(user, wrong.as_str()), (user, ""), ("nobody", password), ("", "")] {
        let error = refusal(broker.instance.port(), tls.clone(), login).await;
        let not_let_in = |code| {
            matches!(
                code,
                ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword
            )
        };
        assert!(
            matches!(error, ConnectionError::ConnectionRefused(code) if not_let_in(code)),
            "{login:?}: {error:?}"
        );
    }

    let stranger = hilrig_broker::client_tls(other_ca).unwrap();
    let error = refusal(broker.instance.port(), stranger, broker.login()).await;
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
    let error = refusal(broker.impostor_port(), tls.clone(), broker.login()).await;
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");

    // The name that boards check, and one that it is not for.
    let address = ([127, 0, 0, 1], broker.instance.port()).into();
    let name = SERVER_NAME;
    hilrig_broker::answer_over_tls(address, name, tls.clone(), None).await.unwrap();
    let error = hilrig_broker::answer_over_tls(address, "other.hilrig.test", tls, None).await;
    assert!(error.unwrap_err().to_string().contains("not valid for name"));

    let log = broker.instance.log();
    assert!(log.contains(" running"), "{log}");
    assert!(!log.contains(password), "the password is in the log");
}

/// The Docker engine; without one the test is skipped and says so.
pub async fn engine() -> Option<Docker> {
    let found = match docker_client_instance().await {
        Ok(engine) => match engine.ping().await {
            Ok(_) => return Some(engine),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let required = std::env::var("HILRIG_REQUIRE_ENGINE").is_ok_and(|value| value == "1");
    assert!(!required, "HILRIG_REQUIRE_ENGINE=1, but no Docker engine answers: {found}");
    skipped(&format!("no Docker engine answers: {found}"));
    None
}

#[allow(clippy::print_stdout, reason = "a skip carries its reason to whoever reads the tests")]
pub fn skipped(reason: &str) {
    println!("SKIPPED: {reason}");
}

/// Ids of the containers of a run.
pub async fn containers(engine: &Docker, run: &str) -> Vec<String> {
    let filters = HashMap::from([("label", vec![format!("org.hilrig.run={run}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.list_containers(Some(options)).await.unwrap();
    found.into_iter().filter_map(|container| container.id).collect()
}

/// Somebody else's listener on a port that nobody is given for an outgoing connection: those come
/// from 32768 up, and one could take the port in the moment when it is free.
pub fn listener() -> std::net::TcpListener {
    let first = 12_000 + (std::process::id() % 1000) as u16;
    let mut ports = (first..first + 1000).map(|port| ("127.0.0.1", port));
    ports.find_map(|at| std::net::TcpListener::bind(at).ok()).expect("a free port")
}

/// Gives it free, and returns when nobody listens there any more. A child that another test is just
/// starting has a copy of every descriptor from its fork to its exec, and nothing tells when that is
/// gone.
pub async fn give_free(listener: std::net::TcpListener) {
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gone = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the port is given free");
}
