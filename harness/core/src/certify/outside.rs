//! The effect of a case on a shared broker.

use super::case::Behaviour::*;
use super::{Act, BrokerTls, Case};

/// Why a case is skipped on a shared broker.
pub const NEEDS_ALLOW_LOAD: &str =
    "it puts load on the broker or disturbs its other clients, and was not allowed (--allow-load)";

impl Case {
    /// It puts load on the broker or disturbs its other clients: on a shared broker it needs permission.
    pub fn puts_load(&self) -> bool {
        let stalls = self.act == Act::Stall;
        stalls || matches!(self.act, Act::Mqtt(Takeover | PayloadLimit | ReconnectStorm))
    }

    /// It tests the client certificate, which a user may have for their own broker.
    pub fn is_about_own_certificate(&self) -> bool {
        let without = BrokerTls { client_certificate: false, ..self.broker };
        self.board.certificate && without == BrokerTls::USUAL
    }

    /// What it sends to a broker in addition to the board's CONNECT, subscriptions and replies.
    pub fn sends(&self) -> &'static str {
        match self.act {
            Act::Connect => {
                "one connection each of the board, of hilrig's MQTT client and of two other clients; a request"
            }
            Act::LargeMessage(_) => "the same, and a message of 6,000 bytes to the board's topic",
            Act::Reconnects(_) => {
                "eleven connections of the board, one after the other, and a request on each"
            }
            Act::Resume => {
                "a few connections of the board and of two other clients, one after the other, and one with the client id of the board"
            }
            Act::AskForMfln => "two connections with a ClientHello each, and nothing after it",
            Act::Stall => "two connections that stay open for up to 20 s without a handshake",
            Act::Mqtt(Retained) => {
                "a retained message on the board's topic and on one of the run, which are removed again"
            }
            Act::Mqtt(KeepAlive) => {
                "a client that stays silent until the broker drops it, and one that pings"
            }
            Act::Mqtt(Takeover) => "a second client with the client id of the board",
            Act::Mqtt(Will) => "a client with a will whose connection is cut",
            Act::Mqtt(Qos) => "messages of QoS 0 and 1 on a topic of the run",
            Act::Mqtt(PayloadLimit) => "messages that grow up to 256 KiB on a topic of the run",
            Act::Mqtt(WrongPassword) => "a CONNECT with a wrong password",
            Act::Mqtt(NoPermission) => "a subscription and a message on a topic that is forbidden",
            Act::Mqtt(BrokerRestart) => "nothing: the broker is restarted",
            Act::Mqtt(ReconnectStorm) => {
                "50 clients and all boards, connected at once, three times; the clients once more without a password"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::certify::matrix::CASES;

    #[test]
    fn what_puts_load_on_a_broker_is_known() {
        let loads: Vec<&str> =
            CASES.iter().filter(|case| case.puts_load()).map(|case| case.id).collect();
        assert_eq!(
            loads,
            ["stalled", "mqtt-takeover", "mqtt-payload-limit", "mqtt-reconnect-storm"]
        );
        let own: Vec<&str> = CASES
            .iter()
            .filter(|case| case.is_about_own_certificate())
            .map(|case| case.id)
            .collect();
        assert_eq!(own, ["client-certificate", "resumption-client-certificate"]);
    }
}
