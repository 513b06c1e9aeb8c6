//! What the matrix expects, compared with clients that know nothing of the rig's firmware: BearSSL's own
//! command line, OpenSSL's `s_client` and rustls, each at a Mosquitto that is set up as in the case. Needs
//! `make -C firmware brssl`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

use hilrig_broker::clients::{Ask, ClientCertificate, GoesBy, with_openssl, with_rustls};
use hilrig_broker::pki::{Pki, pem};
use hilrig_broker::{BrokerDescription, Instance, InstancePlan, Location, Material};
use hilrig_broker::{Login, SERVER_NAME};
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Case, Expected, Identity, Outcome, Reason, Suites, Trust, WireSeen};
use hilrig_core::contract::Contract;
use hilrig_tests::{PATIENCE, artifacts};
use hilrig_wire::Relay;
use rustls::pki_types::CertificateDer;

/// One for all tests, as a run has: keys of RSA take their time.
fn pki() -> &'static Pki {
    static PKI: LazyLock<(Pki, tempfile::TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        (Pki::new(SERVER_NAME, dir.path()), dir)
    });
    &PKI.0
}

/// A Mosquitto set up for a case, and what a client is to do there.
struct Scene {
    case: &'static Case,
    pki: &'static Pki,
    dir: tempfile::TempDir,
    broker: Instance,
}

impl Scene {
    /// `identity` in place of the case's own, for what has to be seen in another light.
    async fn of(id: &str, identity: Option<Identity>) -> Scene {
        let case = Case::named(id).unwrap();
        let mut tls = case.broker;
        tls.identity = identity.unwrap_or(tls.identity);
        let dir = tempfile::tempdir().unwrap();
        let pki = pki();
        let order = InstancePlan {
            dir: dir.path().join("b"),
            tls,
            material: Material::of(pki, &tls).unwrap(),
            impostor: None,
            login: Login::random().unwrap(),
            listen: Ipv4Addr::LOCALHOST,
            port: None,
            deadline: PATIENCE,
        };
        let mosquitto = BrokerDescription::named("mosquitto").unwrap();
        let broker = Instance::start(mosquitto, Location::Process, order)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Scene { case, pki, dir, broker }
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.broker.port()).into()
    }

    /// The CA that the case's client goes by.
    fn ca(&self) -> &CertificateDer<'static> {
        match self.case.board.trust {
            Trust::FirstIntermediate => self.pki.first_intermediate().unwrap(),
            _ => self.pki.issued(self.broker.order().tls.identity).unwrap().root(),
        }
    }

    async fn rustls_and_openssl(&self) -> [OtherClient; 2] {
        let client = self.pki.client().unwrap();
        let chain = client.chain_pem();
        let certificate = ClientCertificate { chain: &chain, key: client.key_pem() };
        let ask = Ask {
            address: self.address(),
            server_name: SERVER_NAME,
            board: self.case.board,
            goes_by: GoesBy::Ca(self.ca()),
            certificate: self.case.board.certificate.then_some(certificate),
            time: None,
            login: self.broker.login(),
            deadline: PATIENCE,
        };
        [with_rustls(&ask).await, with_openssl(&ask, self.dir.path()).await]
    }

    /// The same with BearSSL's `brssl client`, and what the wire has seen of it.
    async fn brssl(&self) -> (OtherClient, WireSeen) {
        let relay = Relay::start(Ipv4Addr::LOCALHOST, self.address()).await.unwrap();
        let file = |name: &str, text: &str| {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let board = self.case.board;
        let mut command = Command::new(artifacts::brssl());
        command
            .args(["client", &format!("127.0.0.1:{}", relay.port()), "-sni", SERVER_NAME])
            .args(["-vmin", "tls12", "-vmax", "tls12", "-noreneg"])
            .args(["-hf", hashes(board.suites), "-cs", &suites(board.suites)])
            .arg("-CA")
            .arg(file("brssl-ca.pem", &pem(self.ca())));
        if board.record < 16384 {
            // BearSSL's own overhead on top of the largest record that it takes is 325 bytes.
            command.args(["-mono", "-buf", &(board.record + 325).to_string()]);
        }
        if board.certificate {
            let client = self.pki.client().unwrap();
            command
                .arg("-cert")
                .arg(file("brssl-chain.pem", &client.chain_pem()))
                .arg("-key")
                .arg(file("brssl-key.pem", client.key_pem()));
        }
        let connect = connect(self.broker.login());
        let told = tokio::task::spawn_blocking(move || talk(command, &connect)).await.unwrap();
        relay.until(|progress| progress.ended == progress.connections).await;
        let seen = relay.seen().pop().unwrap_or_else(|| panic!("no connection: {told:?}"));
        let reason = told.reason.map(|reason| reason.seen_with(&seen));
        (OtherClient { reason, ..told }, seen)
    }
}

/// A CONNECT packet with a login (MQTT 3.1.1, 3.1).
fn connect(login: Option<&Login>) -> Vec<u8> {
    let login = login.expect("a Mosquitto of a case asks for a login");
    let mut body = b"\0\x04MQTT\x04\xc2\0\x0a".to_vec();
    for text in ["brssl", &login.user, &login.password] {
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut packet = vec![0x10, body.len() as u8];
    assert!(body.len() < 128, "one byte of length");
    packet.extend(body);
    packet
}

/// Hash functions for certificates and suites: a board's, and SHA-1 where `suites` has a suite with it.
fn hashes(suites: Suites) -> &'static str {
    match suites {
        Suites::StaticRsa => "sha1,sha256,sha384,sha512",
        _ => "sha256,sha384,sha512",
    }
}

/// Suites by BearSSL's names.
fn suites(suites: Suites) -> String {
    let (ec, rsa) = ("ECDHE_ECDSA_WITH_", "ECDHE_RSA_WITH_");
    let aead = ["CHACHA20_POLY1305_SHA256", "AES_128_GCM_SHA256", "AES_256_GCM_SHA384"];
    let of = |kind: &str, ciphers: &[&str]| -> Vec<String> {
        ciphers.iter().map(|cipher| format!("{kind}{cipher}")).collect()
    };
    let static_rsa = of("RSA_WITH_", &["AES_128_GCM_SHA256", "AES_256_GCM_SHA384"]);
    let cbc = "AES_128_CBC_SHA256";
    let names = match suites {
        Suites::Aead => vec![of(ec, &aead), of(rsa, &aead)],
        Suites::Cbc => vec![of(ec, &[cbc]), of(rsa, &[cbc]), of("RSA_WITH_", &[cbc])],
        // brssl offers the signatures that it accepts (RFC 5246, 7.4.1.4.1) only if a suite needs one, and without
        // that OpenSSL 3 assumes SHA-1 and refuses. A board always offers them. The last suite is there for
        // that alone: no Mosquitto has 3DES any more.
        Suites::StaticRsa => {
            let never = of(rsa, &["3DES_EDE_CBC_SHA"]);
            vec![static_rsa, of("RSA_WITH_", &[cbc]), never]
        }
        Suites::Rsa => vec![of(rsa, &aead), of(rsa, &[cbc]), static_rsa],
        Suites::All => vec![of(ec, &aead), of(rsa, &aead), of(ec, &[cbc]), static_rsa],
    };
    names.concat().join(",")
}

/// Has brssl send CONNECT, and reads the CONNACK or why there is none.
fn talk(mut command: Command, connect: &[u8]) -> OtherClient {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("brssl runs");
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = [0; 4];
        let _ = tell.send(stdout.read_exact(&mut answer).is_ok().then_some(answer));
    });
    // One that has ended already has the reason on its standard error.
    let _ = stdin.write_all(connect).and_then(|()| stdin.flush());
    let answer = told.recv_timeout(PATIENCE);
    let outcome = match answer {
        Ok(Some([0x20, 2, 0, 0])) => Outcome::Connected,
        Ok(None) => Outcome::Refused,
        other => {
            let _ = child.kill();
            panic!("brssl got {other:02x?}");
        }
    };
    drop(stdin);
    if outcome == Outcome::Connected {
        let _ = child.kill();
    }
    let mut said = String::new();
    let _ = stderr.read_to_string(&mut said);
    child.wait().unwrap();
    let number = said.split_once("SSL error ").map(|(_, rest)| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().unwrap()
    });
    OtherClient {
        client: "brssl".into(),
        version: "0.6".into(),
        outcome,
        reason: number.map(contract_reason),
        said,
    }
}

/// What one of BearSSL's numbers means, by the contract that the rig reads a board's by.
fn contract_reason(number: u16) -> Reason {
    let path: PathBuf = artifacts::contract();
    let contract = Contract::parse(Path::new("contract.toml"), &fs::read_to_string(path).unwrap());
    contract.unwrap().connection.error.expect("it has TLS errors").reason(number)
}

fn as_expected(case: &Case, client: &OtherClient) {
    match case.expected {
        _ if client.outcome == Outcome::NotRun => assert_eq!(client.client, "rustls"),
        Expected::MustConnect | Expected::Reported => {
            assert_eq!(client.outcome, Outcome::Connected, "{}: {client:?}", case.id);
        }
        Expected::MustRefuse(reasons) => {
            assert_eq!(client.outcome, Outcome::Refused, "{}: {client:?}", case.id);
            let reason = client.reason.unwrap_or_else(|| panic!("{}: {client:?}", case.id));
            assert!(reasons.contains(&reason), "{}: {client:?}", case.id);
        }
    }
}

/// All three match what the matrix expects of a board; what it leaves open works at a Mosquitto.
async fn all_agree(ids: &[&str]) {
    for id in ids {
        let scene = Scene::of(id, None).await;
        for client in scene.rustls_and_openssl().await {
            as_expected(scene.case, &client);
        }
        let (brssl, seen) = scene.brssl().await;
        as_expected(scene.case, &brssl);
        if scene.case.board.suites == Suites::StaticRsa {
            let suite = seen.taken.map(|taken| taken.suite);
            assert!(matches!(suite, Some(0x009c | 0x009d | 0x003c)), "{id}: {suite:04x?}");
        }
    }
}

#[tokio::test]
async fn versions_and_suites() {
    all_agree(&["control", "tls13-only", "static-rsa", "cbc", "ecdsa", "ecdsa-not-offered"]).await;
}

#[tokio::test]
async fn certificates() {
    all_agree(&[
        "sha1",
        "long-chain",
        "intermediate-rotated",
        "intermediate-rotated-pinned",
        "other-ca",
        "other-name",
    ])
    .await;
}

#[tokio::test]
async fn client_certificates() {
    all_agree(&["client-certificate", "client-certificate-missing"]).await;
}

/// The certificates of a long chain are what fills records of each size.
#[tokio::test]
async fn smaller_records_are_asked_for_confirmed_and_kept_to() {
    for id in ["mfln-512", "mfln-1024", "mfln-2048", "mfln-4096"] {
        let scene = Scene::of(id, Some(Identity::LongChain)).await;
        let size = scene.case.board.record;
        let (brssl, seen) = scene.brssl().await;
        assert_eq!(brssl.outcome, Outcome::Connected, "{id}: {brssl:?}");
        assert_eq!(seen.offered.and_then(|offered| offered.max_fragment), Some(size), "{id}");
        assert_eq!(seen.taken.and_then(|taken| taken.max_fragment), Some(size), "{id}");
        assert_eq!(seen.largest_from_broker, u32::from(size), "{id}");
        let [rustls, openssl] = scene.rustls_and_openssl().await;
        assert_eq!(rustls.outcome, Outcome::NotRun);
        assert_eq!(openssl.outcome, Outcome::Connected, "{id}: {openssl:?}");
        let wanted = format!("MFLN {size} confirmed, records of up to {size} came");
        assert!(openssl.said.contains(&wanted), "{id}: {openssl:?}");
    }
}
