//! Real handshakes, recorded.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use hilrig_core::certify::Side;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// What a side shows of itself, with the key to it.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A CA, whose leaves are shown with it behind them.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A new leaf for a name, with the CA behind it.
    pub fn leaf(&self, name: &str) -> Shown {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![leaf.der().clone(), self.0.der().clone()], key)
    }
}

/// All that goes over a connection in memory, in its order: the handshake, so many bytes from the
/// board and from the broker, and the leave that each takes. One that fails goes as far as its alert.
pub fn recorded(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &'static str,
    data: (usize, usize),
) -> Vec<(Side, Vec<u8>)> {
    let name = ServerName::try_from(name).unwrap();
    let mut board = ClientConnection::new(client, name).unwrap();
    let mut broker = ServerConnection::new(server).unwrap();
    board.set_buffer_limit(None);
    broker.set_buffer_limit(None);
    let mut pieces = Vec::new();
    exchange(&mut board, &mut broker, &mut pieces);
    if board.is_handshaking() || broker.is_handshaking() {
        return pieces;
    }
    board.writer().write_all(&vec![1; data.0]).unwrap();
    exchange(&mut board, &mut broker, &mut pieces);
    broker.writer().write_all(&vec![2; data.1]).unwrap();
    exchange(&mut board, &mut broker, &mut pieces);
    board.send_close_notify();
    exchange(&mut board, &mut broker, &mut pieces);
    broker.send_close_notify();
    exchange(&mut board, &mut broker, &mut pieces);
    pieces
}

/// Until neither has anything to say.
fn exchange(
    board: &mut ClientConnection,
    broker: &mut ServerConnection,
    pieces: &mut Vec<(Side, Vec<u8>)>,
) {
    loop {
        let mut sent = Vec::new();
        while board.wants_write() {
            board.write_tls(&mut sent).unwrap();
        }
        let quiet = sent.is_empty();
        let mut left = &sent[..];
        while !left.is_empty() {
            broker.read_tls(&mut left).unwrap();
            // An error leaves an alert to be sent, which ends it.
            if let Ok(state) = broker.process_new_packets() {
                let mut read = vec![0; state.plaintext_bytes_to_read()];
                broker.reader().read_exact(&mut read).unwrap();
            }
        }
        if !sent.is_empty() {
            pieces.push((Side::Board, sent));
        }
        let mut answered = Vec::new();
        while broker.wants_write() {
            broker.write_tls(&mut answered).unwrap();
        }
        if quiet && answered.is_empty() {
            return;
        }
        let mut left = &answered[..];
        while !left.is_empty() {
            board.read_tls(&mut left).unwrap();
            if let Ok(state) = board.process_new_packets() {
                let mut read = vec![0; state.plaintext_bytes_to_read()];
                board.reader().read_exact(&mut read).unwrap();
            }
        }
        if !answered.is_empty() {
            pieces.push((Side::Broker, answered));
        }
    }
}
