//! The query of the configuration form, made from the contract's fields.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hilrig_core::contract::Contract;

use crate::BrokerEndpoint;
use crate::http::query_value;

/// Seconds between a board's attempts to connect: the least, for the rig waits for it.
const RETRY_SECONDS: u32 = 1;

/// What is set.
pub struct Values<'a> {
    /// The broker.
    pub endpoint: &'a BrokerEndpoint,
    /// Which of its ports.
    pub port: u16,
    /// The rig's address as the board sees it.
    pub rig: IpAddr,
    /// Port of the rig's time server.
    pub time_port: u16,
    /// Attempts before the board gives up.
    pub attempts: u32,
    /// MQTT client id.
    pub client_id: String,
    /// Further fields that `more` does not change.
    pub first: &'a [(String, String)],
    /// Further fields, secrets among them.
    pub more: &'a BTreeMap<String, String>,
}

/// The path with the query that stores the settings. The check boxes of TLS and MQTT stay off: the
/// switch is a request of its own.
pub fn settings(contract: &Contract, values: &Values<'_>) -> String {
    let names = &contract.settings;
    let rig = values.rig.to_string();
    // Where the address is no field of its own, the firmware connects to what it checks.
    let name = match &names.broker_address {
        Some(_) => values.endpoint.server_name.clone(),
        None => rig.clone(),
    };
    let (user, password) = values.endpoint.credentials.clone().unwrap_or_default();
    let use_password = values.endpoint.credentials.is_some();
    let optional = [
        (&names.broker_address, Some(rig.clone())),
        (&names.broker_user, use_password.then_some(user)),
        (&names.broker_password, use_password.then_some(password)),
        (&names.use_password, use_password.then(|| names.on.clone())),
        (&names.client_id, Some(values.client_id.clone())),
        (&names.time_server, Some(rig)),
        (&names.time_port, Some(values.time_port.to_string())),
        (&names.retry_seconds, Some(RETRY_SECONDS.to_string())),
        (&names.retry_attempts, Some(values.attempts.to_string())),
        (&names.save, Some(names.on.clone())),
    ];
    let mut fields = BTreeMap::from([
        (names.broker_name.as_str(), name),
        (names.broker_port.as_str(), values.port.to_string()),
    ]);
    let optional =
        optional.into_iter().filter_map(|(name, value)| Some((name.as_deref()?, value?)));
    fields.extend(optional);
    fields.extend(values.first.iter().map(|(name, value)| (name.as_str(), value.clone())));
    // What the configuration sets goes first, so that it cannot undo what the run needs.
    let more = values.more.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let more = more.filter(|(name, _)| !fields.contains_key(name)).collect::<Vec<_>>();
    fields.extend(more);
    let query: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", query_value(name), query_value(value)))
        .collect();
    format!("{}?{}", contract.http.page, query.join("&"))
}

/// The fields that the page must have.
pub fn fields(contract: &Contract) -> impl Iterator<Item = &str> {
    let names = &contract.settings;
    let optional = [
        &names.broker_address,
        &names.broker_user,
        &names.broker_password,
        &names.use_password,
        &names.client_id,
        &names.time_server,
        &names.time_port,
        &names.retry_seconds,
        &names.retry_attempts,
    ];
    [&names.broker_name, &names.broker_port, &names.tls, &names.mqtt]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .map(String::as_str)
}
