//! Mosquitto's password file.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::BrokerError;
use crate::login::Login;

/// A line of a password file, as `mosquitto_passwd` of Mosquitto 2 writes it: PBKDF2 with HMAC-SHA-512,
/// 101 rounds, 12 bytes of salt, 64 bytes of hash.
pub(crate) fn password_line(login: &Login) -> Result<String, BrokerError> {
    const ROUNDS: NonZeroU32 = NonZeroU32::new(101).unwrap();
    let mut salt = [0; 12];
    SystemRandom::new().fill(&mut salt).map_err(|_| BrokerError::no_random_numbers())?;
    let mut hash = [0; 64];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, &salt, login.password.as_bytes(), &mut hash);
    Ok(format!("{}:$7${ROUNDS}${}${}", login.user, STANDARD.encode(salt), STANDARD.encode(hash)))
}
