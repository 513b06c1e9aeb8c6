//! The rig's own clients, each against servers that are real: Mosquitto and `openssl s_server`. These need
//! both programs (`apt-get install mosquitto openssl`).

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use common::{PATIENCE, plan, start};
use hilrig_broker::clients::{
    Answer, Ask, ClientCertificate, GaveUp, GoesBy, ask_for_mfln, stall, with_openssl, with_rustls,
};
use hilrig_broker::pki::{Issued, Pki};
use hilrig_broker::{BrokerKind, SERVER_NAME};
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{BoardTls, Identity, Outcome, Reason, Suites};
use rustls::pki_types::CertificateDer;
use time::Duration;

/// `openssl s_server`, which takes every CONNECT.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(dir: &Path, shown: &Issued, arguments: &[&str]) -> Server {
        let path = dir.join("server.pem");
        std::fs::write(&path, format!("{}{}", shown.chain_pem(), shown.key_pem())).unwrap();
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "100"])
            .arg("-cert")
            .arg(&path)
            .arg("-cert_chain")
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "s_server ended");
            if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                break address.parse().unwrap();
            }
        };
        // What clients send comes on its standard output, and what it reads goes to them.
        thread::spawn(move || {
            let mut seen = Vec::new();
            for byte in stdout.bytes().map_while(Result::ok) {
                seen.push(byte);
                if seen.ends_with(b"\0\x04MQTT\x04") {
                    let _ = stdin.write_all(&[0x20, 2, 0, 0]).and_then(|()| stdin.flush());
                }
            }
        });
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask<'a>(address: SocketAddr, ca: &'a CertificateDer<'a>) -> Ask<'a> {
    Ask {
        address,
        server_name: SERVER_NAME,
        board: BoardTls::USUAL,
        goes_by: GoesBy::Ca(ca),
        certificate: None,
        time: None,
        login: None,
        deadline: PATIENCE,
    }
}

async fn both(ask: &Ask<'_>, dir: &Path) -> [OtherClient; 2] {
    let each = [with_rustls(ask).await, with_openssl(ask, dir).await];
    for client in &each {
        assert!(!client.version.is_empty(), "{client:?}");
    }
    assert_eq!((each[0].client.as_str(), each[1].client.as_str()), ("rustls", "openssl"));
    each
}

#[track_caller]
fn connected(clients: &[OtherClient]) {
    for client in clients {
        assert_eq!(client.outcome, Outcome::Connected, "{client:?}");
    }
}

#[track_caller]
fn refused(clients: &[OtherClient], reason: Reason) {
    for client in clients {
        assert_eq!(client.outcome, Outcome::Refused, "{client:?}");
        assert_eq!(client.reason, Some(reason), "{client:?}");
    }
}

fn pki(dir: &Path) -> Pki {
    Pki::new(SERVER_NAME, dir)
}

#[tokio::test]
async fn mosquitto_lets_them_in_and_says_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(plan(BrokerKind::Process, "clients", dir.path())).await;
    let login = broker.instance.login().unwrap().clone();
    let user = login.user.clone();
    let address = SocketAddr::from(([127, 0, 0, 1], broker.instance.port()));
    let ca = broker.certificates.ca_der().clone();
    let ask = Ask { login: Some(&login), ..ask(address, &ca) };
    let usual = both(&ask, dir.path()).await;
    connected(&usual);
    assert!(usual[0].said.contains("TLSv1_2") && usual[1].said.contains("TLSv1.2"), "{usual:?}");

    let wrong = hilrig_broker::Login { user, password: "wrong".into() };
    refused(&both(&Ask { login: Some(&wrong), ..ask }, dir.path()).await, Reason::BadLogin);
    let impostor = SocketAddr::from(([127, 0, 0, 1], broker.impostor_port()));
    refused(&both(&Ask { address: impostor, ..ask }, dir.path()).await, Reason::NotTrusted);
    let rsa = BoardTls::USUAL.offering(Suites::Rsa);
    refused(&both(&Ask { board: rsa, ..ask }, dir.path()).await, Reason::NothingInCommon);

    // The keys of its certificate are EC, so a narrow question finds no suite.
    let asked = ask_for_mfln(address, SERVER_NAME, PATIENCE).await.unwrap();
    assert_eq!(asked.narrow, Answer::Alert(40));
    assert!(matches!(asked.full, Answer::Hello { max_fragment: Some(1024), .. }), "{asked}");
    assert!(asked.is_false_no());

    // Mosquitto waits for a CONNECT for long, and for a ClientHello as long.
    let stalled = stall(&ask, std::time::Duration::from_millis(300)).await.unwrap();
    let longer = GaveUp::NotWithin(std::time::Duration::from_millis(300));
    assert_eq!((stalled.silent, stalled.halfway), (longer, longer));
    assert_eq!(stalled.meanwhile.outcome, Outcome::Connected, "{stalled}");

    broker.instance.stop().await;
    let gone = both(&ask, dir.path()).await;
    assert!(gone.iter().all(|client| client.outcome == Outcome::Broken), "{gone:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files are left");
}

#[tokio::test]
async fn a_certificate_is_held_against_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let usual = pki.issued(Identity::Rsa2048).unwrap();
    let server = Server::start(dir.path(), usual, &[]);
    let ask = ask(server.address, usual.root());
    connected(&both(&ask, dir.path()).await);
    refused(
        &both(&Ask { server_name: "other.hilrig.test", ..ask }, dir.path()).await,
        Reason::WrongName,
    );
    for time in [
        pki.not_before() - Duration::days(1),
        pki.not_after() + Duration::days(1),
        time::OffsetDateTime::UNIX_EPOCH,
    ] {
        refused(&both(&Ask { time: Some(time), ..ask }, dir.path()).await, Reason::OutOfDate);
    }
    let other = pki.issued(Identity::Ecdsa256).unwrap();
    let stranger = Ask { goes_by: GoesBy::Ca(other.root()), ..ask };
    refused(&both(&stranger, dir.path()).await, Reason::NotTrusted);

    // A pin takes the certificate whatever its name and the time are.
    let pin = Ask {
        goes_by: GoesBy::Pin(usual.leaf_sha256()),
        server_name: "other.hilrig.test",
        time: Some(time::OffsetDateTime::UNIX_EPOCH),
        ..ask
    };
    connected(&both(&pin, dir.path()).await);
    let wrong = Ask { goes_by: GoesBy::Pin([7; 32]), ..ask };
    refused(&both(&wrong, dir.path()).await, Reason::WrongPin);

    // What rustls has not is not said to be refused.
    for board in [
        BoardTls::USUAL.offering(Suites::Cbc),
        BoardTls::USUAL.offering(Suites::StaticRsa),
        BoardTls::USUAL.taking(512),
    ] {
        let [rustls, openssl] = both(&Ask { board, ..ask }, dir.path()).await;
        assert_eq!(rustls.outcome, Outcome::NotRun, "{rustls:?}");
        assert_eq!((rustls.reason, rustls.said.is_empty()), (None, false));
        connected(std::slice::from_ref(&openssl));
        assert_eq!(openssl.said.contains("MFLN 512 confirmed"), board.record == 512, "{openssl:?}");
    }

    // By the session's id.
    let resume = BoardTls { resume: true, ..BoardTls::USUAL };
    for client in both(&Ask { board: resume, ..ask }, dir.path()).await {
        connected(std::slice::from_ref(&client));
        // OpenSSL forgets the session of a connection that was torn down.
        let both = ", after an orderly close session resumed, after a cut session not resumed";
        assert!(client.said.ends_with(both), "{client:?}");
    }
}

#[tokio::test]
async fn an_intermediate_is_an_anchor_until_it_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let first = pki.first_intermediate().unwrap();
    let server = Server::start(dir.path(), pki.issued(Identity::Intermediate).unwrap(), &[]);
    connected(&both(&ask(server.address, first), dir.path()).await);
    let rotated = pki.issued(Identity::RotatedIntermediate).unwrap();
    let server = Server::start(dir.path(), rotated, &[]);
    refused(&both(&ask(server.address, first), dir.path()).await, Reason::NotTrusted);
    connected(&both(&ask(server.address, rotated.root()), dir.path()).await);
}

#[tokio::test]
async fn a_server_that_asks_for_more_is_told_why_it_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let usual = pki.issued(Identity::Ecdsa256).unwrap();
    let server = Server::start(dir.path(), usual, &["-tls1_3"]);
    let [rustls, openssl] = both(&ask(server.address, usual.root()), dir.path()).await;
    assert!(rustls.said.ends_with("with TLS 1.3 it connects"), "{rustls:?}");
    refused(&[rustls, openssl], Reason::NothingInCommon);

    let server = Server::start(dir.path(), usual, &["-alpn", "mqtt"]);
    let alpn = BoardTls { alpn: true, ..BoardTls::USUAL };
    let let_in = both(&Ask { board: alpn, ..ask(server.address, usual.root()) }, dir.path()).await;
    connected(&let_in);
    assert!(let_in.iter().all(|client| client.said.contains("ALPN mqtt")), "{let_in:?}");
    let server = Server::start(dir.path(), usual, &["-alpn", "http/1.1"]);
    let other = both(&Ask { board: alpn, ..ask(server.address, usual.root()) }, dir.path()).await;
    refused(&other, Reason::NoProtocol);

    let ca = dir.path().join("client-ca.pem");
    std::fs::write(&ca, hilrig_broker::pki::pem(pki.client_ca().unwrap())).unwrap();
    let ca = ca.to_str().unwrap();
    let wants = ["-Verify", "3", "-verify_return_error", "-CAfile", ca];
    let server = Server::start(dir.path(), usual, &wants);
    let ask = ask(server.address, usual.root());
    refused(&both(&ask, dir.path()).await, Reason::CertificateWanted);
    let client = pki.client().unwrap();
    let chain = client.chain_pem();
    let certificate = Some(ClientCertificate { chain: &chain, key: client.key_pem() });
    connected(&both(&Ask { certificate, ..ask }, dir.path()).await);
}
