//! Mosquitto's configuration and what its log says.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::BrokerError;
use crate::pki::run_certificates::Certificates;
use crate::plan::Login;

/// Names of the files in the folder that a configuration is written for.
pub(crate) const CONFIG: &str = "mosquitto.conf";
const LEAF: &str = "broker.pem";
const IMPOSTOR: &str = "impostor.pem";
const PASSWORDS: &str = "passwords";

/// Where its listeners are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listeners {
    /// Address to listen at.
    pub address: Ipv4Addr,
    /// Port of the listener with the run's certificate.
    pub port: u16,
    /// Port of the listener with the impostor's.
    pub impostor_port: u16,
}

/// A file of the broker: its name in the folder and its text. Most hold a secret.
pub(crate) type File = (&'static str, String);

/// All that Mosquitto reads, to be put into `folder`.
pub(crate) fn files(
    folder: &Path,
    listeners: Listeners,
    certificates: &Certificates,
    login: &Login,
) -> Result<Vec<File>, BrokerError> {
    Ok(vec![
        (CONFIG, config(folder, listeners)),
        (LEAF, certificates.leaf().bundle()),
        (IMPOSTOR, certificates.impostor().bundle()),
        (PASSWORDS, password_line(login)?),
    ])
}

fn config(folder: &Path, listeners: Listeners) -> String {
    // `user root`: started as root, Mosquitto would change to a user that cannot read the keys; for
    // everybody else the line means nothing. `set_tcp_nodelay`: two small packets in a row would wait
    // for the first one's acknowledgement, which takes 40 ms and more. Logged in full but for packets,
    // which would make the boards' traffic push everything else out of the log that is kept.
    let mut text = String::from(
        "user root\n\
         persistence false\n\
         set_tcp_nodelay true\n\
         allow_anonymous false\n\
         log_dest stderr\n\
         log_type error\n\
         log_type warning\n\
         log_type notice\n\
         log_type information\n\
         log_type subscribe\n\
         log_timestamp_format %Y-%m-%dT%H:%M:%S\n\
         max_queued_messages 1000\n\
         max_packet_size 65536\n",
    );
    text.push_str(&format!("password_file {}\n", folder.join(PASSWORDS).display()));
    for (port, pem) in [(listeners.port, LEAF), (listeners.impostor_port, IMPOSTOR)] {
        let pem = folder.join(pem);
        text.push_str(&format!(
            "\nlistener {port} {}\n\
             socket_domain ipv4\n\
             tls_version tlsv1.2\n\
             certfile {pem}\n\
             keyfile {pem}\n",
            listeners.address,
            pem = pem.display()
        ));
    }
    text
}

/// A line of a password file, as `mosquitto_passwd` of Mosquitto 2 writes it: PBKDF2 with HMAC-SHA-512,
/// 101 rounds, 12 bytes of salt, 64 bytes of hash.
pub(crate) fn password_line(login: &Login) -> Result<String, BrokerError> {
    const ROUNDS: NonZeroU32 = NonZeroU32::new(101).unwrap();
    let mut salt = [0; 12];
    SystemRandom::new().fill(&mut salt).map_err(|_| BrokerError::Random)?;
    let mut hash = [0; 64];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, &salt, login.password.as_bytes(), &mut hash);
    Ok(format!("{}:$7${ROUNDS}${}${}\n", login.user, STANDARD.encode(salt), STANDARD.encode(hash)))
}

/// The version in a line like `mosquitto version 2.0.11 running`, which Mosquitto logs when its
/// listeners are open.
pub(crate) fn running_version(log: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let (_, rest) = line.split_once("mosquitto version ")?;
        Some(rest.strip_suffix(" running")?.trim().to_owned())
    })
}

/// Its log says that an address was in use.
pub(crate) fn address_in_use(log: &str) -> bool {
    log.contains("Address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_line_that_says_running() {
        let log = "2026-01-01T00:00:00: mosquitto version 2.0.11 starting\n\
                   2026-01-01T00:00:00: mosquitto version 2.0.11 running\n";
        assert_eq!(running_version(log).as_deref(), Some("2.0.11"));
        assert_eq!(running_version("mosquitto version 2.0.11 starting"), None);
    }

    #[test]
    fn each_listener_has_its_own_certificate() {
        let listeners = Listeners { address: Ipv4Addr::LOCALHOST, port: 1, impostor_port: 2 };
        let text = config(Path::new("/d"), listeners);
        let (main, impostor) = text.split_once("listener 2 127.0.0.1").unwrap();
        assert!(main.contains("listener 1 127.0.0.1") && main.contains("certfile /d/broker.pem"));
        assert!(impostor.contains("certfile /d/impostor.pem"), "{impostor}");
        assert!(!text.contains("allow_anonymous true"));
    }
}
