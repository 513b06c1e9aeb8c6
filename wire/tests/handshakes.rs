//! What is read of real handshakes: rustls with itself, in memory.

mod common;

use std::sync::Arc;

use common::{Authority, Shown, recorded};
use hilrig_core::certify::{Alert, Side, WireSeen};
use hilrig_wire::read_recording;
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

const NAME: &str = "broker.hilrig.test";

fn client(ca: &Authority, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(&[version]).unwrap();
    config.with_root_certificates(ca.roots()).with_no_client_auth()
}

fn server(ca: &Authority, suites: &[SupportedCipherSuite]) -> ServerConfig {
    server_showing(ca.leaf(NAME), suites)
}

fn server_showing((chain, key): Shown, suites: &[SupportedCipherSuite]) -> ServerConfig {
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: suites.to_vec(),
        ..ring::default_provider()
    };
    let config = ServerConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    config.with_single_cert(chain, key).unwrap()
}

fn lengths((chain, _): &Shown) -> Vec<u32> {
    chain.iter().map(|der| der.len() as u32).collect()
}

/// What is read of a connection in which each side sends so many bytes behind the handshake; in
/// any cuts the same.
fn read(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, data: (usize, usize)) -> WireSeen {
    let pieces = recorded(client.clone(), server.clone(), NAME, data);
    let whole = read_recording(pieces.iter().map(|(from, bytes)| (*from, &bytes[..])));
    for cut in [1, 2, 3, 5, 17, 1460] {
        let pieces = pieces.iter();
        let cuts = pieces.flat_map(|(from, bytes)| bytes.chunks(cut).map(|cut| (*from, cut)));
        assert_eq!(read_recording(cuts), whole, "in pieces of {cut}");
    }
    whole
}

#[test]
fn tls_1_2_is_read_to_the_byte_with_each_kind_of_authenticated_cipher() {
    let ca = Authority::new();
    let mut client = client(&ca, &TLS12);
    client.alpn_protocols = vec![b"mqtt".to_vec(), b"x-\x1b[31m".to_vec()];
    let client = Arc::new(client);
    for suite in [
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ] {
        let shown = ca.leaf(NAME);
        let lengths = lengths(&shown);
        let mut server = server_showing(shown, &[suite]);
        server.alpn_protocols = vec![b"mqtt".to_vec()];
        let seen = read(&client, &Arc::new(server), (1000, 6000));
        let offered = seen.offered.as_ref().unwrap();
        assert_eq!(offered.version, 0x0303);
        assert_eq!(offered.server_name.as_deref(), Some(NAME));
        assert_eq!(offered.alpn, ["mqtt", "x-\\x1b[31m"]);
        assert!(offered.extended_master_secret && offered.ticket);
        assert_eq!(offered.max_fragment, None);
        assert!(offered.suites.contains(&u16::from(suite.suite())));
        let taken = seen.taken.as_ref().unwrap();
        assert_eq!((taken.version, taken.suite), (0x0303, u16::from(suite.suite())));
        assert_eq!(taken.alpn.as_deref(), Some("mqtt"));
        assert!(taken.extended_master_secret && taken.session_id);
        assert_eq!(seen.certificates, lengths);
        assert!(!seen.certificate_asked && seen.board_certificates.is_empty());
        assert!(seen.finished && !seen.resumed && !seen.retry_asked);
        assert_eq!(seen.round_trips, 2);
        // What is sent is what is read, less the cipher's own: exact.
        assert_eq!((seen.largest_from_board, seen.largest_from_broker), (1000, 6000));
        assert!(seen.handshake_bytes < seen.bytes_from_board + seen.bytes_from_broker - 7000);
        // Both sides took their leave, which goes encrypted.
        let left = |from| Alert { from, fatal: false, number: None };
        assert_eq!(seen.alerts, [left(Side::Board), left(Side::Broker)]);
    }
}

#[test]
fn a_broker_that_keeps_to_small_records_is_seen_to() {
    let ca = Authority::new();
    let mut server = server(&ca, ring::ALL_CIPHER_SUITES);
    // rustls counts the record's header.
    server.max_fragment_size = Some(512 + 5);
    let seen = read(&Arc::new(client(&ca, &TLS12)), &Arc::new(server), (3000, 6000));
    assert_eq!((seen.largest_from_board, seen.largest_from_broker), (3000, 512));
    assert_eq!(seen.certificates.len(), 2);
}

#[test]
fn tls_1_3_is_read_as_far_as_it_shows() {
    let ca = Authority::new();
    let server = Arc::new(server(&ca, ring::ALL_CIPHER_SUITES));
    let seen = read(&Arc::new(client(&ca, &TLS13)), &server, (1000, 6000));
    assert_eq!(seen.offered.as_ref().unwrap().version, 0x0304);
    assert!(!seen.offered.as_ref().unwrap().session_id);
    let taken = seen.taken.as_ref().unwrap();
    assert_eq!(taken.version, 0x0304);
    assert!(!taken.session_id);
    assert!(seen.certificates.is_empty() && seen.finished && !seen.retry_asked && !seen.resumed);
    assert_eq!((seen.largest_from_board, seen.largest_from_broker), (1000, 6000));
    assert_eq!(seen.round_trips, 1);
}

#[test]
fn a_hello_retry_request_is_no_answer_yet() {
    let ca = Authority::new();
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![kx_group::SECP384R1],
        ..ring::default_provider()
    };
    let config = ServerConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
    let (chain, key) = ca.leaf(NAME);
    let server = Arc::new(config.with_single_cert(chain, key).unwrap());
    let seen = read(&Arc::new(client(&ca, &TLS13)), &server, (10, 20));
    assert!(seen.retry_asked && seen.finished);
    assert_eq!(seen.taken.as_ref().unwrap().version, 0x0304);
    assert_eq!(seen.round_trips, 2);
}

#[test]
fn sessions_are_seen_to_be_resumed() {
    for version in [&TLS12, &TLS13] {
        let ca = Authority::new();
        let (client, server) =
            (Arc::new(client(&ca, version)), Arc::new(server(&ca, ring::ALL_CIPHER_SUITES)));
        let first = read(&client, &server, (10, 10));
        let second = read(&client, &server, (10, 10));
        assert!(!first.resumed && second.resumed && second.finished);
        assert!(second.certificates.is_empty());
        assert!(second.handshake_bytes < first.handshake_bytes);
        if version.version == TLS12.version {
            assert!(!first.offered.unwrap().session_id && second.offered.unwrap().session_id);
            assert_eq!((first.round_trips, second.round_trips), (2, 1));
        }
    }
}

#[test]
fn a_client_certificate_is_seen_to_be_asked_for_and_shown() {
    let ca = Authority::new();
    let verifier = WebPkiClientVerifier::builder_with_provider(
        ca.roots().into(),
        Arc::new(ring::default_provider()),
    );
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(verifier.build().unwrap());
    let (chain, key) = ca.leaf(NAME);
    let server = Arc::new(config.with_single_cert(chain, key).unwrap());

    let without = read(&Arc::new(client(&ca, &TLS12)), &server, (10, 10));
    assert!(without.certificate_asked && without.board_certificates.is_empty());
    assert!(!without.finished);
    assert!(without.alerts.iter().any(|alert| alert.from == Side::Broker && alert.fatal));

    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[&TLS12]).unwrap();
    let shown = ca.leaf("board");
    let lengths = lengths(&shown);
    let (chain, key) = shown;
    let client = config.with_root_certificates(ca.roots()).with_client_auth_cert(chain, key);
    let with = read(&Arc::new(client.unwrap()), &server, (10, 10));
    assert!(with.certificate_asked && with.finished);
    assert_eq!(with.board_certificates, lengths);
}

#[test]
fn who_refuses_and_why_is_seen_in_the_alert() {
    let ca = Authority::new();
    let fatal = |from, number| vec![Alert { from, fatal: true, number: Some(number) }];
    let only_1_3 = server(&ca, &[cipher_suite::TLS13_AES_128_GCM_SHA256]);
    let seen = read(&Arc::new(client(&ca, &TLS12)), &Arc::new(only_1_3), (10, 10));
    // protocol_version
    assert_eq!(seen.alerts, fatal(Side::Broker, 70));
    assert_eq!(seen.taken, None);

    let stranger = Arc::new(client(&Authority::new(), &TLS12));
    let seen = read(&stranger, &Arc::new(server(&ca, ring::ALL_CIPHER_SUITES)), (10, 10));
    assert_eq!(seen.alerts.len(), 1);
    assert_eq!(seen.alerts[0].from, Side::Board);
    assert!(!seen.finished);

    let other_suite = server(&ca, &[cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]);
    let seen = read(&Arc::new(client(&ca, &TLS12)), &Arc::new(other_suite), (10, 10));
    // handshake_failure
    assert_eq!(seen.alerts, fatal(Side::Broker, 40));
    let offered = u16::from(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256.suite());
    assert!(seen.offered.unwrap().suites.contains(&offered));
}
