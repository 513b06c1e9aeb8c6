//! Board handling of a case before the board connects to its broker, and after a failure.

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, Case, Expected, Reason};
use hilrig_core::text;

use super::bench::CaseBroker;
use super::judge;
use super::on_board::{BoardCases, OnBoard};
use super::settings::BoardSetup;
use hilrig::BrokerEndpoint;
use hilrig::Stop;
use hilrig::http::Answer;
use hilrig::log::Mark;
use hilrig::session::boot_log::Mode;
use hilrig::session::switch::Target;
use hilrig::watch::Says;

/// Maximum attempts of a board to reconnect by itself.
const COMES_BACK: u32 = 5;
/// The same across a restart of the broker. Attempts are a second apart.
const OUTLASTS_RESTART: u32 = 60;

/// The result of the board's attempts to connect.
pub(super) enum Attempt {
    Connected { line: u64, said: String },
    Refused { reason: Option<Reason>, line: u64, said: String, mark: Mark },
}

impl BoardCases<'_> {
    /// Installs the CA on the board, and a client certificate or none.
    pub(super) async fn hand_over(&self, on: &OnBoard<'_>, setup: &BoardSetup) -> Result<(), Stop> {
        let names = &on.session.contract().http;
        let accepted = |what: &str, answer: Result<Answer, Stop>| match answer.map_err(not_ready)? {
            answer if answer.status == 200 => Ok(()),
            answer => Err(Stop::Failed(format!(
                "{what} was not accepted: {} `{}`",
                answer.status,
                text::printable(&answer.body)
            ))),
        };
        if let Some(path) = &names.ca {
            let answer = on.session.http_post(path, setup.ca.clone()).await;
            accepted("the CA certificate", answer)?;
        }
        match (&names.certificate, &setup.certificate) {
            (Some(path), Some(pem)) => {
                let answer = on.session.http_post(path, pem.clone().into_bytes()).await;
                accepted("the client certificate", answer)
            }
            (Some(path), None) => {
                let answer = on.session.http_delete(path).await;
                accepted("the removal of the client certificate", answer)
            }
            (None, _) => Ok(()),
        }
    }

    /// Writes the settings and switches the mode.
    pub(super) async fn switch(
        &self,
        on: &OnBoard<'_>,
        endpoint: &BrokerEndpoint,
        setup: &BoardSetup,
        port: u16,
    ) -> Result<(), Stop> {
        let mut endpoint = endpoint.clone();
        if on.case.act == Act::Mqtt(Behaviour::WrongPassword) {
            endpoint.credentials = endpoint.credentials.map(|(user, _)| (user, "not-it".into()));
        }
        let attempts = match on.case.act {
            Act::Mqtt(Behaviour::BrokerRestart) => OUTLASTS_RESTART,
            Act::Reconnects(_) | Act::Resume | Act::Mqtt(_) if !must_not_connect(on.case) => {
                COMES_BACK
            }
            _ => 1,
        };
        let target = Target { endpoint: &endpoint, port, attempts, fields: &setup.fields };
        on.session.to_mqtt(&target).await.map_err(not_ready)
    }

    /// Waits until the board has connected or given up.
    pub(super) async fn attempt(&self, on: &OnBoard<'_>) -> Result<Attempt, Stop> {
        let connection = &on.session.contract().connection;
        let mut why: Option<(Option<Reason>, u64, String)> = None;
        let found = on.session.wait_for_connection(on.mark, |hit| {
            match hit.says {
                Says::TlsError => {
                    let reason = judge::tls_reason(connection, hit);
                    if why.as_ref().is_none_or(|(reason, ..)| reason.is_none()) {
                        why = Some((reason, hit.line, hit.text.clone()));
                    }
                }
                Says::AttemptFailed => {
                    let reason = judge::rc_reason(connection, hit);
                    why.get_or_insert((reason, hit.line, hit.text.clone()));
                }
                Says::Connected => return Some((true, hit.line, hit.text.clone())),
                Says::GivenUp => return Some((false, hit.line, hit.text.clone())),
                _ => {}
            }
            None
        });
        let found = found.await?;
        let (connected, line, said) = found.answer;
        if connected {
            return Ok(Attempt::Connected { line, said });
        }
        let (reason, line, said) = why.unwrap_or((None, line, said));
        Ok(Attempt::Refused { reason, line, said, mark: found.mark })
    }

    /// The board connected where it must not: returns it to configuration mode without the broker.
    pub(super) async fn leave_broker(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
    ) -> Result<(), Stop> {
        let mark = on.session.mark();
        broker.hang_up().await;
        self.given_up(on, mark).await
    }

    /// Resets the board after a failure. Without a broker the board gives up and returns to configuration mode.
    pub(super) async fn recover(&self, on: &OnBoard<'_>, stop: &Stop) -> Result<(), Stop> {
        if let Stop::Silent(_) = stop {
            return Err(stop.clone());
        }
        let lost = |after: Stop| match after {
            Stop::Failed(why) | Stop::Crashed(why) => Stop::Rig(format!(
                "the board did not come back to configuration mode after the case {}: {why}",
                on.case.id
            )),
            rig => rig,
        };
        let mark = on.session.mark();
        on.session.reset().await?;
        self.given_up(on, mark).await.map_err(lost)
    }

    /// Waits until the board, which can no longer reach a broker, is back in configuration mode.
    async fn given_up(&self, on: &OnBoard<'_>, mark: Mark) -> Result<(), Stop> {
        let deadlines = &on.session.plan().deadlines;
        let deadline = deadlines.boot + deadlines.connect;
        on.session.wait_for_mode_within(mark, Mode::Configuration, deadline, true).await.map(drop)
    }
}

/// A failure before the board connects to its broker gives no result for either.
pub(super) fn not_ready(stop: Stop) -> Stop {
    match stop {
        Stop::Failed(why) => {
            Stop::Rig(format!("the board could not be set up for the case: {why}"))
        }
        other => other,
    }
}

/// Whether the case expects that the board does not connect.
pub(super) fn must_not_connect(case: &Case) -> bool {
    matches!(case.expected, Expected::MustRefuse(_)) && !matches!(case.act, Act::LargeMessage(_))
}
