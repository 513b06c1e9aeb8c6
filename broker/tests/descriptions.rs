//! The brokers as they are: each that is installed is started, asked, restarted and stopped. What is
//! not installed is skipped, and says so; with HILRIG_REQUIRE_BROKERS=1 that is a failure.

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use common::{PATIENCE, containers, engine, run_id, skipped};
use hilrig_broker::pki::Pki;
use hilrig_broker::{BrokerDescription, BrokerError, Instance, InstancePlan, Location, Material};
use hilrig_broker::{BrokerKind, Login, SERVER_NAME, answer_over_tls, client_tls};
use hilrig_core::certify::{BrokerTls, Front, Identity, Versions};
use rustls::ClientConfig;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::KillContainerOptionsBuilder;

/// One for all tests, as a run has.
fn pki() -> &'static Pki {
    static PKI: LazyLock<(Pki, tempfile::TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        (Pki::new(SERVER_NAME, dir.path()), dir)
    });
    &PKI.0
}

fn order(dir: &Path, tls: BrokerTls) -> InstancePlan {
    InstancePlan {
        dir: dir.join("b"),
        tls,
        material: Material::of(pki(), &tls).unwrap(),
        impostor: None,
        login: Login::random().unwrap(),
        listen: Ipv4Addr::LOCALHOST,
        port: None,
        // RabbitMQ takes 20 s where nothing else runs.
        deadline: 8 * PATIENCE,
    }
}

/// Pids of the processes that have the folder's mark in their environment.
fn marked(dir: &Path) -> Vec<String> {
    let mark = format!("HILRIG_BROKER_DIR={}", dir.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mark)
    });
    pids.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn nothing_left(dir: &Path) {
    assert_eq!(marked(dir), [""; 0]);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "files are left in {}", dir.display());
}

async fn code(instance: &Instance, tls: Arc<ClientConfig>, login: &Login) -> std::io::Result<u8> {
    let address = (Ipv4Addr::LOCALHOST, instance.port()).into();
    let answer = answer_over_tls(address, SERVER_NAME, tls, Some(login));
    let answered = tokio::time::timeout(PATIENCE, answer).await.expect("no answer");
    answered.map(|answered| answered.code)
}

/// What every broker must do.
async fn holds(name: &str) {
    holds_at(name, &Location::Process).await;
}

async fn holds_at(name: &str, home: &Location) {
    let software = BrokerDescription::named(name).unwrap();
    let start = |order| Instance::start(software.clone(), home.clone(), order);
    let required = std::env::var("HILRIG_REQUIRE_BROKERS").is_ok_and(|value| value == "1");
    if let Err(missing @ BrokerError::NotInstalled { .. }) = software.find() {
        assert!(!required, "HILRIG_REQUIRE_BROKERS=1, but {missing}");
        return skipped(&missing.to_string());
    }
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), BrokerTls::USUAL);
    let login = order.login.clone();
    let mut instance = start(order).await.unwrap_or_else(|error| panic!("{error}"));
    let facts = instance.facts().clone();
    for version in [&facts.version, &facts.tls_version] {
        let version = version.as_ref().unwrap_or_else(|| panic!("{facts:?}\n{}", instance.log()));
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{facts:?}");
    }

    let root = pki().issued(Identity::Rsa2048).unwrap().root();
    let tls = client_tls(root).unwrap();
    for round in 0..2 {
        assert_eq!(code(&instance, tls.clone(), &login).await.unwrap(), 0, "{}", instance.log());
        let wrong = Login { user: login.user.clone(), password: "wrong".into() };
        let refused = code(&instance, tls.clone(), &wrong).await;
        // Some send no CONNACK and close.
        if software.can_ask_for_login().is_ok() {
            assert!(!matches!(refused, Ok(0)), "{refused:?}");
        }
        if round == 0 {
            let port = instance.port();
            instance.restart().await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(instance.port(), port);
        }
    }
    let stranger = client_tls(pki().client_ca().unwrap()).unwrap();
    let error = code(&instance, stranger, &login).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(!instance.log().contains(&login.password), "the password is in the log");
    assert!(!marked(dir.path()).is_empty());
    instance.stop().await;
    nothing_left(dir.path());

    // It takes half a minute for each start where others run beside it.
    if name == "rabbitmq" && !required {
        return;
    }
    // Every set-up that it says it can have, and for the others the reason.
    for tls in SET_UPS {
        let order = self::order(dir.path(), *tls);
        match (software.can(tls), start(order).await) {
            (Ok(()), Ok(mut instance)) => {
                let bare = client_tls(root).unwrap();
                let answer = code(&instance, bare, &login).await;
                if tls.client_certificate {
                    answer.expect_err("a client without certificate was let in");
                }
                instance.stop().await;
            }
            (Err(reason), Err(BrokerError::CannotSetUp { reason: told, .. })) => {
                assert_eq!(reason, told);
            }
            (can, Err(error)) => panic!("{tls:?}: it can: {can:?}, but {error}"),
            (Err(reason), Ok(_)) => panic!("{tls:?}: it can, but says {reason}"),
        }
        nothing_left(dir.path());
    }
}

const SET_UPS: &[BrokerTls] = &[
    BrokerTls { versions: Versions::Only13, ..BrokerTls::USUAL },
    BrokerTls { client_certificate: true, ..BrokerTls::USUAL },
    BrokerTls { second: Some(Identity::Ecdsa256), ..BrokerTls::USUAL },
    BrokerTls::USUAL.showing(Identity::Ecdsa256),
    BrokerTls::USUAL.showing(Identity::LongChain),
    BrokerTls::USUAL.showing(Identity::DeepEc),
    BrokerTls::USUAL.showing(Identity::RsaSha1),
    BrokerTls::USUAL.showing(Identity::OtherName),
];

/// A fake broker: a script, described as a real one is.
fn fake(script: &str, ready: &str) -> Arc<BrokerDescription> {
    let text = format!(
        "name = 'fake'\ntitle = 'Fake'\nprogram = ['python3']\nfiles = {{ 'fake.py' = 'fake.py' }}\n\
         install = {{ from = 'apt', packages = ['fake'] }}\n\
         run = {{ arguments = ['{{{{ dir }}}}/fake.py'] }}\nready = {{ {ready} }}\n\
         end = {{ signal = 'TERM', grace_s = 1, codes = [] }}\nversion = {{ log = 'v(.*)' }}\n\
         tls_library = {{ name = 'none', log = 'v(.*)' }}\n\
         can = {{ only_1_3 = true, sha1 = true, second_certificate = true, \
         client_certificate = true, login = true, permission = true }}\n"
    );
    Arc::new(BrokerDescription::parse(&text, &[("fake.py", script)]).unwrap())
}

/// A server that does `then` with every connection `c`.
fn server(then: &str) -> String {
    format!(
        "import socket, time\ns = socket.socket()\n\
         s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
         s.bind(('{{{{ address }}}}', {{{{ port }}}}))\ns.listen()\nprint('up', flush=True)\n\
         kept = []\nwhile True:\n    c, _ = s.accept()\n    {then}\n"
    )
}

async fn fails(script: &str, ready: &str, deadline: Duration) -> BrokerError {
    let dir = tempfile::tempdir().unwrap();
    let order = InstancePlan {
        deadline,
        ..order(dir.path(), BrokerTls::USUAL.showing(Identity::Ecdsa256))
    };
    let password = order.login.password.clone();
    let software = fake(script, ready);
    let error = Instance::start(software, Location::Process, order).await;
    let error = error.err().expect("it cannot be ready");
    assert!(!error.to_string().contains(&password), "{error}");
    nothing_left(dir.path());
    error
}

#[tokio::test]
async fn a_broker_that_never_gets_ready_is_told() {
    let short = Duration::from_millis(300);
    let script = "import time\nprint('starting {{ password }}', flush=True)\ntime.sleep(600)\n";
    let error = fails(script, "log = 'up'", short).await;
    assert!(matches!(error, BrokerError::NeverReady { .. }), "{error}");
    assert!(error.to_string().contains("to say that it is up"), "{error}");
    // It says nothing, and nobody listens.
    let error = fails(script, "", short).await;
    assert!(error.to_string().contains("nobody listens"), "{error}");
    // It takes connections and is silent.
    let error = fails(&server("kept.append(c)"), "log = 'up'", 4 * short).await;
    assert!(matches!(error, BrokerError::NeverReady { .. }), "{error}");
    // It ends.
    let error = fails("print('no licence')\nraise SystemExit(3)\n", "log = 'up'", PATIENCE).await;
    assert!(matches!(error, BrokerError::Ended { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("exit status: 3") && told.contains("no licence"), "{told}");
}

#[tokio::test]
async fn a_broker_that_closes_at_once_is_told() {
    let error = fails(&server("c.close()"), "log = 'up'", PATIENCE).await;
    assert!(matches!(error, BrokerError::ClosedAtOnce { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_speaks_no_tls_is_told() {
    let plain = server("c.recv(1); c.sendall(b'\\x20\\x02\\x00\\x00' * 9); kept.append(c)");
    let error = fails(&plain, "log = 'up'", PATIENCE).await;
    assert!(matches!(error, BrokerError::NoTls { .. }), "{error}");
}

#[tokio::test]
async fn what_it_starts_and_leaves_is_ended_with_it() {
    // In a session of its own, and with the log's pipe in hand.
    let script = "import subprocess, time\n\
                  subprocess.Popen(['sleep', '600'], start_new_session=True)\n\
                  print('no', flush=True)\ntime.sleep(600)\n";
    fails(script, "log = 'up'", Duration::from_secs(2)).await;
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_installs_it() {
    let text = "name = 'none'\ntitle = 'None'\nprogram = ['no-such-broker']\n\
                install = { from = 'pip', packages = ['no-such'] }\n\
                run = { arguments = [] }\nready = {}\n\
                end = { signal = 'TERM', grace_s = 1, codes = [] }\n\
                version = { log = 'v(.*)' }\ntls_library = { name = 'none', log = 'v(.*)' }\n\
                can = { only_1_3 = 'it is old', sha1 = true, second_certificate = true, \
                client_certificate = true, login = true, permission = true }\n";
    let software = Arc::new(BrokerDescription::parse(text, &[]).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let start = |order| Instance::start(software.clone(), Location::Process, order);
    let ec = BrokerTls::USUAL.showing(Identity::Ecdsa256);
    let error = start(order(dir.path(), ec)).await.err().unwrap();
    let told = error.to_string();
    assert!(told.contains("no-such-broker") && told.contains("pip install no-such"), "{told}");
    let newer = BrokerTls { versions: Versions::Only13, ..ec };
    let error = start(order(dir.path(), newer)).await.err().unwrap();
    assert_eq!(error.to_string(), "None cannot be set up so: it is old");
    nothing_left(dir.path());
}

#[tokio::test]
async fn one_that_is_killed_is_told_and_one_that_is_given_up_is_taken_back() {
    let software = BrokerDescription::named("mosquitto").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let tls = BrokerTls::USUAL.showing(Identity::Ecdsa256);
    let mut instance =
        Instance::start(software.clone(), Location::Process, order(dir.path(), tls)).await.unwrap();
    let gone = instance.gone();
    let [pid] = &marked(dir.path())[..] else { panic!("there should be one process") };
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let found = tokio::time::timeout(PATIENCE, gone).await.expect("it was not told");
    assert!(found.contains("signal: 9"), "{found}");
    instance.stop().await;
    nothing_left(dir.path());

    let starting = Instance::start(software.clone(), Location::Process, order(dir.path(), tls));
    // Polled once, so that its thread is on the way.
    tokio::select! {
        biased;
        _ = starting => panic!("it cannot be ready at once"),
        () = std::future::ready(()) => {}
    }
    nothing_left(dir.path());
}

#[tokio::test]
async fn two_at_once_get_ports_of_their_own() {
    let software = BrokerDescription::named("mosquitto").unwrap();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let tls = BrokerTls::USUAL.showing(Identity::Ecdsa256);
    let start = |dir: &tempfile::TempDir| {
        Instance::start(software.clone(), Location::Process, order(dir.path(), tls))
    };
    let (one, two) = tokio::join!(start(&dirs[0]), start(&dirs[1]));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.port(), two.port());
    drop((one, two));
    dirs.iter().for_each(|dir| nothing_left(dir.path()));
}

#[tokio::test]
async fn the_front_asks_for_more_than_the_broker() {
    let software = BrokerDescription::named("mosquitto").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = pki().issued(Identity::Rsa2048).unwrap().root();
    let usual = client_tls(root).unwrap();
    let with = |change: &dyn Fn(&mut ClientConfig)| {
        let mut tls = (*usual).clone();
        change(&mut tls);
        Arc::new(tls)
    };
    let no_sni = with(&|tls| tls.enable_sni = false);
    let alpn = with(&|tls| tls.alpn_protocols = vec![b"mqtt".to_vec()]);
    let other_alpn = with(&|tls| tls.alpn_protocols = vec![b"http/1.1".to_vec()]);
    for (front, let_in, refused) in [
        (Front::Plain, vec![&usual, &no_sni, &alpn], vec![]),
        (Front::SniRequired, vec![&usual, &alpn], vec![(&no_sni, "UnrecognisedName")]),
        (
            Front::AlpnRequired,
            vec![&alpn],
            vec![(&usual, "NoApplicationProtocol"), (&other_alpn, "NoApplicationProtocol")],
        ),
    ] {
        let order = order(dir.path(), BrokerTls::USUAL.behind(front));
        let login = order.login.clone();
        let mut instance =
            Instance::start(software.clone(), Location::Process, order).await.unwrap();
        let port = instance.port();
        for round in 0..2 {
            for tls in &let_in {
                let code = code(&instance, (*tls).clone(), &login).await;
                assert_eq!(code.unwrap_or_else(|error| panic!("{front:?}: {error}")), 0);
            }
            for (tls, alert) in &refused {
                let error = code(&instance, (*tls).clone(), &login).await.unwrap_err();
                assert!(error.to_string().contains(alert), "{front:?}: {error}");
            }
            if round == 0 {
                instance.restart().await.unwrap();
                assert_eq!(instance.port(), port);
            }
        }
        instance.stop().await;
        nothing_left(dir.path());
    }
}

/// The home of a Mosquitto in a container, and its run; `None` where no engine answers.
async fn in_a_container(name: &str) -> Option<(Docker, Location, String)> {
    let engine = engine().await?;
    let run = run_id(name);
    let software = BrokerDescription::named("mosquitto").unwrap();
    let home = Location::choose(&software, BrokerKind::Container, &run, &mut |_| {}).await;
    let home = home.unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(&home, Location::Container { image, .. } if image.contains("mosquitto:")));
    Some((engine, home, run))
}

#[tokio::test]
async fn mosquitto_holds_in_a_container() {
    let Some((engine, home, run)) = in_a_container("holds").await else { return };
    holds_at("mosquitto", &home).await;
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}

#[tokio::test]
async fn one_in_a_container_may_do_nothing_else_and_is_told_when_it_is_killed() {
    let Some((engine, home, run)) = in_a_container("killed").await else { return };
    let software = BrokerDescription::named("mosquitto").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let tls = BrokerTls::USUAL.showing(Identity::Ecdsa256);
    let start = || Instance::start(software.clone(), home.clone(), order(dir.path(), tls));
    let mut instance = start().await.unwrap_or_else(|error| panic!("{error}"));
    let facts = instance.facts();
    assert_eq!(facts.kind, "container");
    assert!(facts.from.contains("mosquitto:"), "{facts:?}");
    let [id] = &containers(&engine, &run).await[..] else { panic!("there should be one") };
    let host = engine.inspect_container(id, None).await.unwrap().host_config.unwrap();
    assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
    assert_eq!(host.security_opt.unwrap(), ["no-new-privileges:true"]);
    let gone = instance.gone();
    let kill = KillContainerOptionsBuilder::new().signal("KILL").build();
    engine.kill_container(id, Some(kill)).await.unwrap();
    let found = tokio::time::timeout(PATIENCE, gone).await.expect("it was not told");
    assert!(found.contains("SIGKILL"), "{found}");
    instance.stop().await;
    nothing_left(dir.path());
    assert_eq!(containers(&engine, &run).await, [""; 0]);

    // Given up when the engine has made the container.
    {
        let mut starting = Box::pin(start());
        loop {
            tokio::select! {
                biased;
                made = containers(&engine, &run) => if !made.is_empty() { break },
                _ = &mut starting => break,
            }
        }
    }
    nothing_left(dir.path());
    assert_eq!(containers(&engine, &run).await, [""; 0]);
}

#[tokio::test]
async fn what_has_no_image_is_a_process_or_told() {
    let aedes = BrokerDescription::named("aedes").unwrap();
    let chosen = Location::choose(&aedes, BrokerKind::Container, "r", &mut |_| {}).await;
    let told = chosen.unwrap_err().to_string();
    assert!(told.contains("names no image"), "{told}");

    let mut notes = Vec::new();
    let chosen =
        Location::choose(&aedes, BrokerKind::Auto, "r", &mut |note| notes.push(note)).await;
    match (aedes.find(), chosen) {
        (Ok(_), Ok(home)) => {
            assert_eq!(home, Location::Process);
            assert!(notes[0].contains("Aedes is a process"), "{notes:?}");
        }
        (Err(_), Err(BrokerError::NotInstalled { missing, .. })) => {
            assert!(missing.contains("nor can it be had in a container"), "{missing}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn mosquitto_holds() {
    holds("mosquitto").await;
}

#[tokio::test]
async fn rabbitmq_holds() {
    holds("rabbitmq").await;
}

#[tokio::test]
async fn nats_holds() {
    holds("nats").await;
}

#[tokio::test]
async fn nats_with_its_own_timeouts_gives_a_slow_client_two_seconds() {
    let nats = BrokerDescription::named("nats").unwrap();
    let beside = nats.with_beside();
    let names: Vec<&str> = beside.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["nats", "nats-defaults"]);
    if let Err(missing) = nats.find() {
        return skipped(&missing.to_string());
    }
    let dir = tempfile::tempdir().unwrap();
    let software = BrokerDescription::named("nats-defaults").unwrap();
    let mut instance =
        Instance::start(software, Location::Process, order(dir.path(), BrokerTls::USUAL))
            .await
            .unwrap();
    // A client that says nothing is given up by the broker, and not by this deadline.
    let mut silent =
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, instance.port())).await.unwrap();
    let mut said = [0; 64];
    let closed = tokio::io::AsyncReadExt::read(&mut silent, &mut said);
    let closed = tokio::time::timeout(PATIENCE, closed).await;
    assert!(
        closed.is_ok(),
        "a silent client is there after {PATIENCE:?}, as with the longer timeout"
    );
    instance.stop().await;
    nothing_left(dir.path());
}

#[tokio::test]
async fn activemq_holds() {
    holds("activemq").await;
}

#[tokio::test]
async fn amqtt_holds() {
    holds("amqtt").await;
}

#[tokio::test]
async fn aedes_holds() {
    holds("aedes").await;
}

#[tokio::test]
async fn rumqttd_holds() {
    holds("rumqttd").await;
}
