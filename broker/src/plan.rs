//! What is asked of a broker.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use hilrig_core::config::{BrokerConfig, BrokerKind};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::BrokerError;

/// The name that the broker's certificate is for, and that a board is told to check. `.test` is
/// reserved (RFC 6761): it can never be somebody's real host.
pub const SERVER_NAME: &str = "broker.hilrig.test";

/// What is asked of a broker.
#[derive(Clone, Debug)]
pub struct BrokerPlan {
    /// Where it runs.
    pub kind: BrokerKind,
    /// Image to run, pulled if it is not on the engine.
    pub image: String,
    /// Executable of the local process; a bare name is looked up.
    pub executable: PathBuf,
    /// Where its listeners listen: loopback, unless a board must reach them over a network.
    pub listen: Ipv4Addr,
    /// Port of the main listener, or any free one.
    pub port: Option<u16>,
    /// The run's id, which goes on what is started, so that a later run can tell whose it was.
    pub run: String,
    /// The run's folder ([`RunDir::path`](crate::RunDir::path)); files of the broker go below it.
    pub dir: PathBuf,
    /// DNS name in the broker's certificate.
    pub server_name: String,
    /// User and password; nobody gets in without.
    pub login: Login,
    /// For the broker to answer, once its image is there.
    pub deadline: Duration,
    /// The longest time that the run may take: the certificates are valid for longer.
    pub longest: Duration,
}

impl BrokerPlan {
    /// A plan from the configuration, with a password of its own.
    ///
    /// # Errors
    /// [`BrokerError::Random`] if the system has no random numbers.
    pub fn new(
        config: &BrokerConfig,
        run: impl Into<String>,
        dir: impl Into<PathBuf>,
        deadline: Duration,
    ) -> Result<BrokerPlan, BrokerError> {
        Ok(BrokerPlan {
            kind: config.kind,
            image: config.image.clone(),
            executable: config.executable.clone(),
            listen: Ipv4Addr::LOCALHOST,
            port: config.port,
            run: run.into(),
            dir: dir.into(),
            server_name: SERVER_NAME.into(),
            login: Login::random()?,
            deadline,
            longest: Duration::ZERO,
        })
    }
}

/// User and password of the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl Login {
    /// A user with a password that was never used before.
    ///
    /// The password is not made from the run's seed, because the seed is in the record and a secret is
    /// not. It has 15 characters: the firmware that the first articles of this kind describe writes
    /// over its settings from 16 on, and 15 of 62 are 89 bits.
    ///
    /// # Errors
    /// [`BrokerError::Random`] if the system has no random numbers.
    pub fn random() -> Result<Login, BrokerError> {
        const FROM: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let random = SystemRandom::new();
        let mut password = String::with_capacity(15);
        while password.len() < 15 {
            let mut byte = [0];
            random.fill(&mut byte).map_err(|_| BrokerError::Random)?;
            // Six bits; the two values over 61 are thrown again, so that all are equally likely.
            if let Some(&c) = FROM.get(usize::from(byte[0] >> 2)) {
                password.push(char::from(c));
            }
        }
        Ok(Login { user: "hilrig".into(), password })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("password", &"***").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_new_each_time_and_is_not_shown() {
        let (one, two) = (Login::random().unwrap(), Login::random().unwrap());
        assert_ne!(one.password, two.password);
        assert_eq!(one.password.len(), 15);
        assert!(!format!("{one:?}").contains(&one.password));
    }
}
