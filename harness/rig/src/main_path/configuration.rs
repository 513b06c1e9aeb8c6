//! Configuration mode: the page, requests over HTTP, the CA certificate.

use hilrig_core::contract::Contract;
use hilrig_core::text;

use crate::broker_link::BrokerLink;
use crate::check_spec::CheckSpec;
use crate::replies::{invalid, mismatch};
use crate::session::Session;
use crate::session::settings_form;
use crate::stop::Stop;

const PAGE: CheckSpec = CheckSpec::new("configuration.page", "the configuration page has its form");
const REQUESTS: CheckSpec =
    CheckSpec::new("configuration.requests", "requests over HTTP get their replies");
const CA: CheckSpec = CheckSpec::new("configuration.ca", "the CA certificate is accepted");

/// The checks of this phase.
pub(super) fn checks(contract: &Contract) -> Vec<CheckSpec> {
    let ca = contract.http.ca.as_ref().map(|_| CA);
    [PAGE, REQUESTS].into_iter().chain(ca).collect()
}

/// Returns the broker, which is needed for its CA.
pub(super) async fn run(session: &Session<'_>) -> Result<BrokerLink, Stop> {
    page(session).await?;
    requests(session).await?;
    ca(session).await
}

/// The page is served and has the fields that the run sets.
async fn page(session: &Session<'_>) -> Result<(), Stop> {
    let contract = session.contract();
    session.step(&PAGE);
    session.journal.doing("requested the configuration page over HTTP");
    let answer = session.http_get(&contract.http.page).await?;
    let page = String::from_utf8_lossy(&answer.body);
    let missing = settings_form::fields(contract).find(|field| {
        let double = format!("name=\"{field}\"");
        !page.contains(&double)
            && !page.contains(&double.replace('"', "'"))
            && !page.contains(&double.replace('"', ""))
    });
    let (passed, found) = match (answer.status, missing) {
        (200, None) => (true, format!("{} B", answer.body.len())),
        (200, Some(field)) => (false, format!("no field `{field}` in {} B", answer.body.len())),
        (status, _) => (false, format!("status {status}: `{}`", text::printable(&answer.body))),
    };
    session.check(PAGE.outcome(passed, &*found));
    if passed { Ok(()) } else { Err(Stop::Failed(format!("configuration page: {found}"))) }
}

/// The contract's requests, and those that must be refused.
async fn requests(session: &Session<'_>) -> Result<(), Stop> {
    let contract = session.contract();
    session.step(&REQUESTS);
    let mut wrong = Vec::new();
    for request in &contract.requests {
        let reply = session.http_request(&request.request).await?;
        wrong.extend(mismatch(request, &reply));
        wrong.extend(session.note_heap(&request.request, &reply).err());
    }
    for request in invalid(contract) {
        let reply = session.http_request(&request.request).await?;
        wrong.extend(mismatch(&request, &reply));
    }
    let count = contract.requests.len() + contract.invalid.requests.len();
    session.all_of(&REQUESTS, count, &wrong);
    Ok(())
}

/// The board gets the broker's CA certificate, if it accepts one.
async fn ca(session: &Session<'_>) -> Result<BrokerLink, Stop> {
    session.step(&CA);
    let broker = session.broker().await?;
    let Some(path) = &session.contract().http.ca else { return Ok(broker) };
    session.journal.doing("sent the CA certificate over HTTP");
    let answer = session.http_post(path, broker.endpoint.ca_der.clone()).await?;
    if answer.status != 200 {
        return Err(Stop::Failed(format!(
            "the CA certificate was not accepted: {} `{}`",
            answer.status,
            text::printable(&answer.body)
        )));
    }
    session.check(CA.outcome(true, "accepted"));
    Ok(broker)
}
