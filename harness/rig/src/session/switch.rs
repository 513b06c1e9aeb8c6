//! The switch between configuration mode and MQTT mode.

use std::net::IpAddr;

use hilrig_core::text;

use crate::BrokerEndpoint;
use crate::replies::mismatch;
use crate::session::Session;
use crate::session::boot_log::{Booted, Mode};
use crate::session::mqtt_mode::Online;
use crate::session::settings_form;
use crate::stop::Stop;

/// The broker that a board is to connect to.
pub struct Target<'a> {
    /// The broker.
    pub endpoint: &'a BrokerEndpoint,
    /// The port that the board gets.
    pub port: u16,
    /// Attempts to connect before the board gives up.
    pub attempts: u32,
    /// Form fields that go before those of the configuration.
    pub fields: &'a [(String, String)],
}

impl Session<'_> {
    /// Stores the settings for `target` on the board and switches it to MQTT mode.
    ///
    /// # Errors
    /// The board does not accept them, or its reply differs from the contract: the board fails.
    pub async fn to_mqtt(&self, target: &Target<'_>) -> Result<(), Stop> {
        let contract = self.contract();
        self.journal.doing("sent the settings over HTTP");
        let form = settings_form::settings(
            contract,
            &settings_form::Values {
                endpoint: target.endpoint,
                port: target.port,
                rig: self.rig_address().await,
                time_port: self.time.port(),
                attempts: target.attempts,
                client_id: self.client_id(),
                first: target.fields,
                more: &self.plan().settings,
            },
        );
        let answer = self.http_get(&form).await?;
        if answer.status != 200 {
            return Err(Stop::Failed(format!(
                "the settings were not accepted: {} `{}`",
                answer.status,
                text::printable(&answer.body)
            )));
        }
        let switch = &contract.switch.to_mqtt;
        self.log.switch_asked();
        let reply = self.http_request(&switch.request).await?;
        mismatch(switch, &reply).map_or(Ok(()), |wrong| Err(Stop::Failed(wrong)))
    }

    /// Switches the board, which is online, back to configuration mode and waits until that is up.
    ///
    /// # Errors
    /// The board does not reply, its reply differs from the contract, or it does not come up: the board fails.
    pub async fn to_configuration(&self, online: &mut Online) -> Result<Booted, Stop> {
        let switch = &self.contract().switch.to_configuration;
        let mark = self.mark();
        self.log.switch_asked();
        let reply = self.mqtt_request(online, switch).await?;
        if let Some(wrong) = mismatch(switch, &reply) {
            return Err(Stop::Failed(wrong));
        }
        self.wait_for_mode(mark, Mode::Configuration).await
    }

    /// The rig's address as the board sees it.
    async fn rig_address(&self) -> IpAddr {
        self.board.lock().await.reach().rig
    }
}
