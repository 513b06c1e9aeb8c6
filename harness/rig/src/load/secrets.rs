//! The form fields and the secrets: values that are printed nowhere.

use std::collections::BTreeMap;

use hilrig_broker::Login;
use hilrig_core::config::{BoardConfig, Config};
use hilrig_core::place::FileError;
use hilrig_core::text::{self, Secrets};

use crate::Error;

/// The configured form fields with the secrets read from the environment, and the secrets' values.
///
/// # Errors
/// The environment lacks a variable that the configuration names.
pub fn settings(config: &Config) -> Result<(BTreeMap<String, String>, Vec<String>), Error> {
    let mut settings = config.settings.clone();
    let mut values = Vec::new();
    for (field, variable) in &config.secrets {
        let value = secret(config, &format!("firmware.secrets.{field}"), variable)?;
        values.push(value.clone());
        settings.insert(field.clone(), value);
    }
    Ok((settings, values))
}

/// The passwords of the boards' power lines.
///
/// # Errors
/// The environment lacks a variable that a board names.
pub fn power_passwords(config: &Config, boards: &[BoardConfig]) -> Result<Vec<String>, Error> {
    let named = boards.iter().filter_map(|board| board.power.as_ref()?.password_env.as_ref());
    let values: Vec<String> = named
        .map(|variable| secret(config, "board.power.password_env", variable))
        .collect::<Result<_, Error>>()?;
    for board in boards {
        let user = board.power.as_ref().and_then(|power| power.user.as_deref());
        for (user, value) in user.into_iter().flat_map(|user| values.iter().map(move |v| (user, v)))
        {
            text::hide(&Secrets::default().and_login(user, value));
        }
    }
    Ok(values)
}

fn secret(config: &Config, key: &str, variable: &str) -> Result<String, Error> {
    let value = std::env::var(variable).map_err(|_| {
        let message = format!(
            "{key}: the environment has no variable {variable}, or it is not UTF-8. Set it to the secret"
        );
        Error::usage(FileError::whole(&config.path, message))
    })?;
    text::hide(&Secrets::new([value.clone()]));
    Ok(value)
}

/// The values that must be shown nowhere, and are hidden from now on.
pub fn secrets(values: Vec<String>, broker: &Login) -> Secrets {
    let secrets = Secrets::new(values).and_login(&broker.user, &broker.password);
    text::hide(&secrets);
    secrets
}
