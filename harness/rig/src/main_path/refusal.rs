//! Refusal: a broker with a certificate of another CA. The board must refuse it, log that, and come back.

use crate::broker_link::BrokerLink;
use crate::check_spec::CheckSpec;
use crate::log::Found;
use crate::session::Session;
use crate::session::boot_log::Mode;
use crate::session::switch::Target;
use crate::stop::Stop;
use crate::watch::Says;

/// The check of this phase.
pub(super) const REFUSAL: CheckSpec = CheckSpec::new(
    "refusal",
    "a broker whose certificate another CA signed is refused, and the log says so",
);

pub(super) async fn run(session: &Session<'_>, broker: &BrokerLink) -> Result<(), Stop> {
    session.step(&REFUSAL);
    if session.contract().connection.given_up.is_none() {
        let why = "the firmware never gives up, so the board would not come back to configuration mode (contract: connection.given_up)";
        session.check(REFUSAL.not_measured(why));
        return Ok(());
    }
    let mark = session.mark();
    session.log.gives_up();
    let port = session.ports_of(broker).await?.impostor;
    let target = Target { endpoint: &broker.endpoint, port, attempts: 1, fields: &[] };
    session.to_mqtt(&target).await?;
    session.wait_for_mode(mark, Mode::Mqtt).await?;
    let verdict = session.wait_for_connection(mark, |hit| match hit.says {
        Says::Refused => Some(Ok((hit.line, hit.text.clone()))),
        Says::Connected => Some(Err("it connected to it")),
        Says::GivenUp => Some(Err("it gave up without saying that it refused the certificate")),
        _ => None,
    });
    let Found { answer, mark, .. } = verdict.await?;
    let (line, said) = answer.map_err(|why| {
        Stop::Failed(format!("a broker whose certificate another CA signed: {why}"))
    })?;
    session.passed(&REFUSAL, format!("`{said}`"), line);
    session.wait_for_mode(mark, Mode::Configuration).await?;
    Ok(())
}
