//! The login that a broker accepts.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::BrokerError;

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
    /// If the system has no random numbers.
    pub fn random() -> Result<Login, BrokerError> {
        const FROM: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let random = SystemRandom::new();
        let mut password = String::with_capacity(15);
        while password.len() < 15 {
            let mut byte = [0];
            random.fill(&mut byte).map_err(|_| BrokerError::no_random_numbers())?;
            // Six bits; the two values over 61 are drawn again, so that all are equally likely.
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
