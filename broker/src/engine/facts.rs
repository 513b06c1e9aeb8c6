//! What is known of a broker that answers.

/// What is known of a broker that answers.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    /// Its name.
    pub name: String,
    /// As its makers write it.
    pub title: String,
    /// Its version, if it told.
    pub version: Option<String>,
    /// Its TLS library.
    pub tls_library: String,
    /// The version of that, if it could be read.
    pub tls_version: Option<String>,
    /// `container` or `process`.
    pub kind: &'static str,
    /// Image or program.
    pub from: String,
    /// The port that it listens at, or what stands before it does.
    pub port: u16,
    /// Its own port, where something stands before it at `port`.
    pub own_port: u16,
    /// The port that shows the impostor's certificate, where one was asked for.
    pub impostor_port: Option<u16>,
    /// From the start to the CONNACK, seconds.
    pub seconds: f64,
}
