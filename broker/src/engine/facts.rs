//! Facts about a broker that answers.

/// Facts about a broker that answers.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    /// Its name.
    pub name: String,
    /// The name as its makers write it.
    pub title: String,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// Its TLS library.
    pub tls_library: String,
    /// The version of that, if it could be read.
    pub tls_version: Option<String>,
    /// `container` or `process`.
    pub kind: &'static str,
    /// Image or program.
    pub from: String,
    /// The port for clients: its own, or that of the TLS front.
    pub port: u16,
    /// Its own port, also if a TLS front is before it.
    pub own_port: u16,
    /// The port that shows the impostor's certificate, where one was asked for.
    pub impostor_port: Option<u16>,
    /// From the start to the CONNACK, seconds.
    pub seconds: f64,
}
