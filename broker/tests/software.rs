//! The brokers as they are: each that is installed is started, asked, started anew and stopped. What is
//! not installed is skipped, and says so; with HILRIG_REQUIRE_BROKERS=1 that is a failure.

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use common::{PATIENCE, skipped};
use hilrig_broker::pki::Pki;
use hilrig_broker::software::{Instance, Material, Order, Software, StartError};
use hilrig_broker::{Login, SERVER_NAME, answer_over_tls, client_tls};
use hilrig_core::certify::{BrokerTls, Identity, Versions};
use rustls::ClientConfig;

/// One for all tests, as a run has.
fn pki() -> &'static Pki {
    static PKI: LazyLock<(Pki, tempfile::TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        (Pki::new(SERVER_NAME, dir.path()), dir)
    });
    &PKI.0
}

fn order(software: &'static Software, dir: &Path, tls: BrokerTls) -> Order {
    Order {
        software,
        dir: dir.join("b"),
        tls,
        material: Material::of(pki(), &tls).unwrap(),
        login: Login::random().unwrap(),
        listen: Ipv4Addr::LOCALHOST,
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
    let software = Software::named(name).unwrap();
    if let Err(missing @ StartError::NotInstalled { .. }) = software.find() {
        let required = std::env::var("HILRIG_REQUIRE_BROKERS").is_ok_and(|value| value == "1");
        assert!(!required, "HILRIG_REQUIRE_BROKERS=1, but {missing}");
        return skipped(&missing.to_string());
    }
    let dir = tempfile::tempdir().unwrap();
    let order = order(software, dir.path(), BrokerTls::USUAL);
    let login = order.login.clone();
    let mut instance = Instance::start(order).await.unwrap_or_else(|error| panic!("{error}"));
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

    // Every set-up that it says it can have, and for the others the reason.
    for tls in SET_UPS {
        let order = self::order(software, dir.path(), *tls);
        match (software.can(tls), Instance::start(order).await) {
            (Ok(()), Ok(mut instance)) => {
                let bare = client_tls(root).unwrap();
                let answer = code(&instance, bare, &login).await;
                if tls.client_certificate {
                    answer.expect_err("a client without certificate was let in");
                }
                instance.stop().await;
            }
            (Err(reason), Err(StartError::CannotSetUp { reason: told, .. })) => {
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

#[tokio::test]
async fn mosquitto_holds() {
    holds("mosquitto").await;
}
