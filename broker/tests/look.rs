//! What a server shows is seen whatever is wrong with it, and the rig's own clients get through to it with that very
//! certificate and no other. Certificates and servers are OpenSSL's (`apt-get install openssl`).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use hilrig_broker::clients::{Ask, GoesBy, Looked, NotSeen, Tunnel, look, with_rustls};
use hilrig_core::certify::{BoardTls, Outcome};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const NAME: &str = "broker.hilrig.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn openssl(dir: &Path, arguments: &str) {
    let ended = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output();
    let ended = ended.expect("openssl is installed");
    assert!(ended.status.success(), "{arguments}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// `openssl s_server` that shows `leaf.pem` of a folder and takes every CONNECT.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(dir: &Path, further: &[&str]) -> Server {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "100"])
            .args(["-cert", "leaf.pem", "-key", "leaf.key", "-cipher", "ALL:@SECLEVEL=0"])
            .args(further)
            .current_dir(dir)
            .env("OPENSSL_CONF", "/dev/null")
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

fn certificate(dir: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(dir.join(name)).unwrap()
}

/// CONNECT and CONNACK through a tunnel; the bytes that came.
async fn through(tunnel: &Tunnel) -> Vec<u8> {
    let asked = async {
        let mut stream = UnixStream::connect(tunnel.path()).await.unwrap();
        stream.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01x").await.unwrap();
        let mut answer = [0; 4];
        match stream.read_exact(&mut answer).await {
            Ok(_) => answer.to_vec(),
            Err(_) => Vec::new(),
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("no answer through openssl")
}

/// Gets a CONNACK as the rig's own clients do after a look.
async fn gets_through(server: &Server, looked: &Looked, dir: &Path) {
    if looked.needs_openssl.is_some() {
        let tunnel = Tunnel::open(server.address, NAME, looked.leaf(), None, dir).unwrap();
        assert_eq!(through(&tunnel).await, [0x20, 2, 0, 0], "{looked:?}");
        let path = tunnel.path().to_owned();
        drop(tunnel);
        assert!(!path.exists(), "the socket is left");
        return;
    }
    let ask = Ask {
        address: server.address,
        server_name: NAME,
        board: BoardTls::USUAL,
        goes_by: GoesBy::Pin(Sha256::digest(looked.leaf()).into()),
        certificate: None,
        time: None,
        login: None,
        deadline: PATIENCE,
    };
    let client = with_rustls(&ask).await;
    assert_eq!(client.outcome, Outcome::Connected, "{client:?}");
}

#[tokio::test]
async fn a_certificate_that_is_what_is_certified_keeps_nobody_of_the_rig_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    openssl(
        dir,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca -addext keyUsage=critical,keyCertSign",
    );
    openssl(
        dir,
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=broker.hilrig.test",
    );
    std::fs::copy(dir.join("leaf.key"), dir.join("rsa.key")).unwrap();
    let san = "subjectAltName=DNS:broker.hilrig.test";
    let signed = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem";
    let with = |extensions: &str, further: &str| {
        std::fs::write(dir.join("extensions"), format!("{extensions}\n")).unwrap();
        openssl(dir, &format!("{signed} -extfile extensions {further}"));
    };
    let roots = [certificate(dir, "ca.pem")];
    let mut seen = Vec::new();
    for kind in [
        "right",
        "expired",
        "client-auth",
        "no-san",
        "other-name",
        "sha1",
        "v1",
        "self-signed-ca",
        "small-rsa",
        "p521",
        "no-ecdhe",
        "other-ca",
    ] {
        std::fs::copy(dir.join("rsa.key"), dir.join("leaf.key")).unwrap();
        let mut further: &[&str] = &[];
        match kind {
            "expired" => with(san, "-days -1"),
            "client-auth" => with(&format!("{san}\nextendedKeyUsage=clientAuth"), "-days 2"),
            "no-san" => with("basicConstraints=CA:FALSE", "-days 2"),
            "other-name" => with("subjectAltName=DNS:other.hilrig.test", "-days 2"),
            "sha1" => with(san, "-days 2 -sha1"),
            "v1" => openssl(dir, &format!("{signed} -days 2")),
            "self-signed-ca" => openssl(
                dir,
                "req -x509 -key leaf.key -out leaf.pem -days 2 -subj /CN=broker.hilrig.test -addext subjectAltName=DNS:broker.hilrig.test",
            ),
            "small-rsa" => openssl(
                dir,
                "req -x509 -newkey rsa:1024 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=broker.hilrig.test",
            ),
            "p521" => openssl(
                dir,
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=broker.hilrig.test",
            ),
            "other-ca" => openssl(
                dir,
                "req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=ca",
            ),
            "no-ecdhe" => {
                with(san, "-days 2");
                further = &["-tls1_2", "-cipher", "AES128-SHA"];
            }
            _ => with(san, "-days 2"),
        }
        let server = Server::start(dir, further);
        let looked = tokio::time::timeout(PATIENCE, look(server.address, NAME, &roots, None)).await;
        let looked = looked.expect("no look").unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(*looked.leaf(), certificate(dir, "leaf.pem"), "{kind}");
        let right = matches!(kind, "right" | "no-ecdhe");
        assert_eq!(looked.doubt.is_none(), right, "{kind}: {looked:?}");
        gets_through(&server, &looked, dir).await;
        seen.push((kind, looked));
    }
    let by_openssl: Vec<&str> = seen
        .iter()
        .filter(|(_, looked)| looked.needs_openssl.is_some())
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(by_openssl, ["v1", "small-rsa", "p521", "no-ecdhe"]);

    // No other certificate is accepted: the one that was seen is the pin.
    let server = Server::start(dir, &[]);
    let other = certificate(dir, "ca.pem");
    let tunnel = Tunnel::open(server.address, NAME, &other, None, dir).unwrap();
    assert_eq!(through(&tunnel).await, [0u8; 0], "another certificate was accepted");
}

#[tokio::test]
async fn what_shows_no_certificate_is_named() {
    let listener = |says: &'static [u8]| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(says);
            }
        });
        address
    };
    let seen = async |address| look(address, NAME, &[], None).await.unwrap_err();
    assert_eq!(seen(listener(b"")).await, NotSeen::Closed);
    assert!(matches!(seen(listener(b"220 mail.example ESMTP\r\n")).await, NotSeen::NoTls(_)));
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert!(matches!(seen(free).await, NotSeen::Unreachable { .. }));
}
