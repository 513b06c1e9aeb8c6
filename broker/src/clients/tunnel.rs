//! A connection to a broker that rustls cannot connect to: a socket in the run's folder, and for each connection to
//! it an `openssl s_client` that accepts one certificate, compared by its SHA-256, and forwards the data inside TLS.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use super::{ClientCertificate, s_client};

/// The longest path of a socket, bytes (`sun_path` of unix(7), with the zero at its end).
const LONGEST_PATH: usize = 107;
/// So many connections at once; the next one waits.
const AT_ONCE: usize = 256;

/// A socket that leads to a broker. Dropping closes it and every connection through it.
#[derive(Debug)]
pub struct Tunnel {
    path: PathBuf,
    task: JoinHandle<()>,
    _dir: TempDir,
}

/// The settings for each connection.
struct Way {
    address: SocketAddr,
    name: String,
    sha256: String,
    /// Chain and key, in files with access for this user only.
    certificate: Option<(PathBuf, PathBuf)>,
}

impl Tunnel {
    /// Opens one, in a folder of its own in `dir`, to the broker at `address` that shows `leaf` when it is asked for
    /// `name`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If there is no program `openssl`, or as making files fails.
    pub fn open(
        address: SocketAddr,
        name: &str,
        leaf: &CertificateDer<'_>,
        certificate: Option<ClientCertificate<'_>>,
        dir: &Path,
    ) -> io::Result<Tunnel> {
        s_client::executable().map_err(io::Error::other)?;
        let mut at = folder(dir)?;
        if at.path().as_os_str().len() + "/tls.sock".len() > LONGEST_PATH {
            at = folder(Path::new("/tmp"))?;
        }
        let write = |name: &str, text: &str| {
            let path = at.path().join(name);
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            io::Write::write_all(&mut file, text.as_bytes()).map(|()| path)
        };
        let certificate = match certificate {
            Some(own) => Some((write("chain.pem", own.chain)?, write("key.pem", own.key)?)),
            None => None,
        };
        let path = at.path().join("tls.sock");
        let listener = UnixListener::bind(&path)?;
        let sha256 = Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect();
        let way = Arc::new(Way { address, name: name.to_owned(), sha256, certificate });
        Ok(Tunnel { path, task: tokio::spawn(listen(listener, way)), _dir: at })
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn folder(dir: &Path) -> io::Result<TempDir> {
    if !dir.exists() {
        std::fs::DirBuilder::new().mode(0o700).create(dir)?;
    }
    tempfile::Builder::new().prefix("hilrig-tls-").tempdir_in(dir)
}

async fn listen(listener: UnixListener, way: Arc<Way>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept(), if connections.len() < AT_ONCE => match taken {
                Ok((stream, _)) => {
                    let way = way.clone();
                    connections.spawn(async move {
                        if let Err(error) = carry(stream, &way).await {
                            tracing::debug!("a connection through openssl ended: {error}");
                        }
                    });
                }
                Err(error) => tracing::warn!("the line through openssl takes no connection: {error}"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut stream: UnixStream, way: &Way) -> io::Result<()> {
    let mut command = s_client::command(way.address, &way.name).map_err(io::Error::other)?;
    command
        // Standard output has only the broker's bytes, and none of the input is interpreted as a command.
        .args(["-quiet", "-no_ign_eof", "-nocommands", "-verify_return_error"])
        // A TLSA record (RFC 6698) for the leaf (3) as a whole (0) by its SHA-256 (1) is a pin: name, dates and
        // issuer do not count.
        .args(["-dane_tlsa_domain", &way.name, "-dane_ee_no_namechecks"])
        .args(["-dane_tlsa_rrdata", &format!("3 0 1 {}", way.sha256)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some((chain, key)) = &way.certificate {
        command.arg("-cert").arg(chain).arg("-cert_chain").arg(chain).arg("-key").arg(key);
    }
    let mut child = command.spawn()?;
    let (Some(into), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("openssl has no pipes"));
    };
    let mut broker = tokio::io::join(from, into);
    let copied = copy_bidirectional(&mut stream, &mut broker).await;
    drop(broker);
    let _ = child.kill().await;
    copied.map(drop)
}
