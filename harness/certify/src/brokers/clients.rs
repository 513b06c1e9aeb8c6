//! Checks of a broker with the rig's own clients, alongside a board or alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Trust;
use hilrig::BrokerEndpoint;
use hilrig_broker::Login;
use hilrig_broker::clients::{self, Ask, ClientCertificate, GoesBy};
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Act, BoardTls, Case, Clock, Trust as By};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// How long a silent client waits for the broker to close the connection.
const STALLS: Duration = Duration::from_secs(20);

/// A day, seconds.
const DAY: i64 = 86_400;

/// What the rig's own clients need.
#[derive(Clone)]
pub(super) struct ClientsSetup {
    /// Directory for their files.
    pub dir: PathBuf,
    /// Timeout for an answer.
    pub deadline: Duration,
}

/// Runs the case with rustls and OpenSSL, if it tests connecting.
pub(super) async fn other_clients(
    rig: &ClientsSetup,
    address: SocketAddr,
    endpoint: &BrokerEndpoint,
    trust: &Trust,
    case: &Case,
) -> Vec<OtherClient> {
    if !matches!(case.act, Act::Connect | Act::LargeMessage(_) | Act::Resume) {
        return Vec::new();
    }
    let login = login(endpoint);
    let ca = CertificateDer::from(match (case.board.trust, &trust.first_intermediate) {
        (By::FirstIntermediate, Some(first)) => first.as_slice(),
        _ => trust.root.as_slice(),
    });
    let goes_by = match case.board.trust {
        By::Root | By::FirstIntermediate => Some(GoesBy::Ca(&ca)),
        By::Pin => trust.pin.map(GoesBy::Pin),
        By::PinOfUsual => trust.pin_of_usual.map(GoesBy::Pin),
        By::WrongPin => Some(GoesBy::Pin(Trust::NO_PIN)),
    };
    let Some(goes_by) = goes_by else { return Vec::new() };
    let certificate = trust
        .client_certificate
        .as_deref()
        .filter(|_| case.board.certificate || trust.always_client_certificate);
    let ask = Ask {
        goes_by,
        certificate: certificate.map(|pem| ClientCertificate { chain: pem, key: pem }),
        time: time(case.clock, trust),
        board: case.board,
        ..usual(rig, address, endpoint, login.as_ref(), &ca)
    };
    let (rustls, openssl) =
        tokio::join!(clients::with_rustls(&ask), clients::with_openssl(&ask, &rig.dir));
    vec![rustls, openssl]
}

/// Whether it supports MFLN.
pub(super) async fn mfln(
    rig: &ClientsSetup,
    address: SocketAddr,
    endpoint: &BrokerEndpoint,
) -> Result<String, String> {
    let asked = clients::ask_for_mfln(address, &endpoint.server_name, rig.deadline).await;
    asked.map(|asked| asked.to_string()).map_err(|error| format!("asking for MFLN: {error}"))
}

/// How long it waits for a silent client.
pub(super) async fn stall(
    rig: &ClientsSetup,
    address: SocketAddr,
    endpoint: &BrokerEndpoint,
    trust: &Trust,
) -> Result<String, String> {
    let login = login(endpoint);
    let ca = CertificateDer::from(trust.root.as_slice());
    let ask = usual(rig, address, endpoint, login.as_ref(), &ca);
    let stalled = clients::stall(&ask, STALLS).await;
    stalled.map(|found| found.to_string()).map_err(|error| format!("a silent connection: {error}"))
}

fn usual<'a>(
    rig: &ClientsSetup,
    address: SocketAddr,
    endpoint: &'a BrokerEndpoint,
    login: Option<&'a Login>,
    ca: &'a CertificateDer<'a>,
) -> Ask<'a> {
    // If the case tests the certificate, the rig's clients accept it, unless they would send the password to a broker
    // that no board has accepted.
    let goes_by = match endpoint.leaves.first().filter(|_| login.is_none()) {
        Some(leaf) => GoesBy::Pin(Sha256::digest(leaf).into()),
        None => GoesBy::Ca(ca),
    };
    Ask {
        address,
        server_name: &endpoint.server_name,
        board: BoardTls::USUAL,
        goes_by,
        certificate: None,
        time: None,
        login,
        deadline: rig.deadline,
    }
}

fn login(endpoint: &BrokerEndpoint) -> Option<Login> {
    let (user, password) = endpoint.credentials.clone()?;
    Some(Login { user, password })
}

fn time(clock: Clock, trust: &Trust) -> Option<OffsetDateTime> {
    let seconds = match clock {
        Clock::Now => return None,
        Clock::At1970 => 0,
        Clock::BeforeValid => trust.validity?.0 - DAY,
        Clock::AfterValid => trust.validity?.1 + DAY,
    };
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}
