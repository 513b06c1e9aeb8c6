//! The relay between OpenSSL's s_client and s_server, which have what rustls has not: MFLN, CBC and
//! key exchange by RSA. Skipped, with the reason, where openssl is not installed.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use hilrig_core::certify::{Ended, HandshakeAt, Line, Side, WireSeen};
use hilrig_wire::Relay;

/// For anything that is waited for; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// `None`, with the reason in sight, if there is no openssl.
fn openssl() -> Option<Command> {
    let command = Command::new("openssl");
    match Command::new("openssl").arg("version").output() {
        Ok(version) if version.status.success() => Some(command),
        found => {
            let found = found.map(|output| output.status.to_string());
            let why = found.unwrap_or_else(|error| error.to_string());
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(io::stderr(), "SKIPPED: {test}: openssl: {why}");
            None
        }
    }
}

/// A child that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An s_server with a web page of a few KiB, and its address.
fn server(dir: &Path, more: &[&str]) -> Option<(Running, SocketAddr)> {
    let (key, certificate) = (dir.join("key.pem"), dir.join("leaf.pem"));
    let made = openssl()?
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker.hilrig.test"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = openssl()?
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-key"])
        .arg(&key)
        .arg("-cert")
        .arg(&certificate)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut server = Running(server.unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let accepts = lines.find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned()));
    let address = accepts.expect("s_server tells where it accepts").parse().unwrap();
    // It writes on for as long as it runs.
    std::thread::spawn(move || lines.count());
    Some((server, address))
}

/// An s_client, and where its input goes.
fn client(port: u16, more: &[&str]) -> (Running, ChildStdin) {
    let client = Command::new("openssl")
        .args(["s_client", "-quiet", "-ign_eof", "-connect", &format!("127.0.0.1:{port}")])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut client = Running(client.unwrap());
    let input = client.0.stdin.take().unwrap();
    (client, input)
}

/// What is seen of s_client asking s_server for its page, through a line.
async fn seen(line: Line, broker: &[&str], board: &[&str]) -> Option<WireSeen> {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = server(dir.path(), broker)?;
    let relay = Relay::start(Ipv4Addr::LOCALHOST, address).await.unwrap();
    relay.set_line(line);
    let (_client, mut input) = client(relay.port(), board);
    input.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let ended = tokio::time::timeout(PATIENCE, relay.until(|progress| progress.ended == 1)).await;
    let seen = relay.seen();
    assert!(ended.is_ok(), "the connection has not ended: {seen:?}");
    Some(seen[0].clone())
}

const GCM: &[&str] = &["-tls1_2", "-cipher", "AES128-GCM-SHA256"];

#[tokio::test]
async fn openssl_keeps_to_the_fragment_that_was_agreed_on() {
    for (size, code) in [(512u16, "512"), (1024, "1024"), (2048, "2048"), (4096, "4096")] {
        let board = [GCM, &["-maxfraglen", code]].concat();
        let Some(seen) = seen(Line::Clean, &[], &board).await else { return };
        assert_eq!(seen.offered.as_ref().unwrap().max_fragment, Some(size));
        let taken = seen.taken.as_ref().unwrap();
        assert_eq!((taken.version, taken.suite, taken.max_fragment), (0x0303, 0x009c, Some(size)));
        // The page is longer than 2 KiB.
        let largest = seen.largest_from_broker;
        assert!(largest == size.into() || size == 4096 && largest > 2048, "{largest} of {size}");
        assert_eq!(seen.certificates.len(), 1);
        assert!(seen.finished && seen.handshake_seconds.is_some());
    }
}

#[tokio::test]
async fn without_it_records_are_as_large_as_what_is_in_them() {
    let Some(seen) = seen(Line::Clean, &[], GCM).await else { return };
    assert_eq!(seen.taken.as_ref().unwrap().max_fragment, None);
    assert!(seen.largest_from_broker > 2048, "{seen:?}");
}

#[tokio::test]
async fn of_cbc_an_upper_bound_is_told() {
    for (cipher, suite, block) in [("AES128-SHA", 0x002f, 16), ("AES256-SHA256", 0x003d, 16)] {
        let board = ["-tls1_2", "-cipher", cipher, "-maxfraglen", "512"];
        let Some(seen) = seen(Line::Clean, &[], &board).await else { return };
        assert_eq!(seen.taken.as_ref().unwrap().suite, suite);
        assert!((512..512 + block).contains(&seen.largest_from_broker), "{cipher}: {seen:?}");
        assert!(seen.finished);
    }
}

#[tokio::test]
async fn tls_1_3_and_a_broker_that_has_nothing_else() {
    let board = ["-tls1_3", "-maxfraglen", "1024"];
    let Some(both) = seen(Line::Clean, &[], &board).await else { return };
    let taken = both.taken.as_ref().unwrap();
    assert_eq!((taken.version, taken.max_fragment), (0x0304, None));
    assert!(both.finished && both.certificates.is_empty());
    assert_eq!(both.largest_from_broker, 1024);

    let Some(refused) = seen(Line::Clean, &["-tls1_3"], GCM).await else { return };
    assert!(!refused.finished && refused.taken.is_none());
    let alert = refused.alerts[0];
    assert_eq!((alert.from, alert.fatal, alert.number), (Side::Broker, true, Some(70)));
}

#[tokio::test]
async fn a_handshake_survives_single_bytes_and_delay_and_not_a_cut() {
    let Some(single) = seen(Line::ByteByByte, &[], GCM).await else { return };
    assert!(single.finished && single.bytes_from_broker > 2048);
    let delay = Duration::from_millis(30);
    let Some(late) = seen(Line::Delay(delay), &[], GCM).await else { return };
    assert!(late.finished && late.bytes_from_broker > 2048);
    // Two round trips through the line, less the board's half of the first, as its hello is where it begins.
    assert!(late.handshake_seconds.unwrap() >= 3.0 * delay.as_secs_f64(), "{late:?}");
    for message in [HandshakeAt::Certificate, HandshakeAt::ClientFinished] {
        for line in [Line::CutAfter(message), Line::ResetAfter(message)] {
            let Some(cut) = seen(line, &[], GCM).await else { return };
            assert_eq!(cut.ended, Some(Ended::Cut), "{line:?}");
            assert!(!cut.finished, "{line:?}");
            assert_eq!(cut.certificates.len(), 1);
        }
    }
}
