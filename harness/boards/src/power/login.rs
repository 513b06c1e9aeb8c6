//! The login of a relay.

use std::fmt;

use hilrig_core::text::Secrets;

/// The login of a relay.
#[derive(Clone)]
pub struct RelayLogin {
    /// User name.
    pub user: String,
    /// Password; no message has it.
    pub password: String,
}

impl fmt::Debug for RelayLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login of {}", self.user)
    }
}

impl RelayLogin {
    pub(super) fn secrets(login: Option<&RelayLogin>) -> Secrets {
        login.map_or_else(Secrets::default, |RelayLogin { user, password }| {
            Secrets::default().and_login(user, password)
        })
    }
}
