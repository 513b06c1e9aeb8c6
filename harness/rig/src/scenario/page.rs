//! `page`: the configuration page, one request after another, and then as many at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hilrig_core::leak;
use hilrig_core::scenario::{Length, Scenario};
use hilrig_core::text;
use hilrig_core::units::Span;

use super::entry::{Run, ScenarioEntry};
use super::heap::heap_over_http;
use super::spec::{ScenarioSpec, missing_heap};
use super::steps::Steps;
use crate::check_spec::CheckSpec;
use crate::http::{self, Tried};
use crate::session::Session;
use crate::stop::Stop;

pub(super) static PAGE: ScenarioEntry = ScenarioEntry {
    spec: ScenarioSpec {
        name: Scenario::Page,
        check: CheckSpec::new(
            "scenario.page",
            "the page under requests in a row and at once: every step works, and the free heap does not fall",
        ),
        default_length: Length::Steps(20),
        restarts_broker: false,
        each: "request",
        // All requests at once.
        extra_steps: 1,
        mixed: false,
        step_takes: |deadlines| deadlines.reply * 3,
        missing: missing_heap,
    },
    run: Run::InConfigurationMode(|session, steps| Box::pin(run(session, steps))),
};

/// The heap is read again after this time.
const AGAIN: Duration = Duration::from_millis(200);

async fn run(session: &Session<'_>, steps: &Steps) -> Result<(), Stop> {
    steps.begin(heap_over_http(session).await?);
    let mut page = None;
    while steps.more() {
        let body = one_page(session).await?;
        let first = page.get_or_insert_with(|| body.clone());
        same(first, &body)?;
        let text = format!("the page, {} B", body.len());
        steps.done(&session.journal, text, heap_over_http(session).await?);
    }
    match page {
        Some(page) => pages_at_once(session, steps, &page).await,
        None => Ok(()),
    }
}

async fn one_page(session: &Session<'_>) -> Result<Vec<u8>, Stop> {
    let answer = session.http_get(&session.contract().http.page).await?;
    match answer.status {
        200 => Ok(answer.body),
        status => Err(Stop::Failed(format!(
            "the page: status {status}: `{}`",
            text::printable(&answer.body)
        ))),
    }
}

/// As many requests at once. The board may answer them one after another, so each has as long as all together.
async fn pages_at_once(session: &Session<'_>, steps: &Steps, page: &[u8]) -> Result<(), Stop> {
    let contract = &session.contract().http;
    let server = session.web_server()?;
    let count = steps.count() as usize;
    let deadline = session.reply_deadline() * steps.count();
    let before = steps.median_free();
    let all = (0..count).map(|_| http::try_get(server, &contract.page, deadline));
    let mut answered = 0;
    let mut refused = None;
    for tried in session.journal.waiting(join_all(all)).await {
        match tried.map_err(|why| Stop::Failed(format!("{count} at once: {why}")))? {
            Tried::Answered(answer) if answer.status == 200 => {
                same(page, &answer.body)?;
                answered += 1;
            }
            Tried::Answered(answer) if answer.status == 503 => {
                refused = Some("status 503".to_owned());
            }
            Tried::Answered(answer) => {
                return Err(Stop::Failed(format!(
                    "{count} at once: one was answered with status {}",
                    answer.status
                )));
            }
            Tried::Refused(found) => refused = Some(found),
        }
    }
    let least = contract.at_once.unwrap_or(count).min(count);
    if answered < least {
        return Err(Stop::Failed(format!(
            "of {count} requests at once {answered} were answered, and {least} are due; one that was not: {}",
            refused.unwrap_or_default()
        )));
    }
    let free = heap_comes_back(session, before).await?;
    let text = format!("{count} at once, {answered} answered, {} refused", count - answered);
    steps.done(&session.journal, text, free);
    Ok(())
}

/// A connection keeps some heap allocated for a while after its end. The board frees it within the reply deadline.
async fn heap_comes_back(session: &Session<'_>, before: Option<u64>) -> Result<Option<u64>, Stop> {
    let since = Instant::now();
    let deadline = session.reply_deadline();
    loop {
        let free = heap_over_http(session).await?;
        let (Some(now), Some(before)) = (free, before) else { return Ok(free) };
        if now + leak::ALLOWED as u64 >= before {
            return Ok(free);
        }
        if since.elapsed() > deadline {
            return Err(Stop::Failed(format!(
                "the heap does not come back after the requests at once: {now} B are free {} later, and {before} B were before",
                Span(deadline)
            )));
        }
        session.journal.waiting(tokio::time::sleep(AGAIN)).await;
    }
}

fn same(page: &[u8], body: &[u8]) -> Result<(), Stop> {
    if page == body {
        return Ok(());
    }
    let at = page.iter().zip(body).take_while(|(a, b)| a == b).count();
    Err(Stop::Failed(format!(
        "the page is not the same each time: {} B and then {} B, from byte {at} on",
        page.len(),
        body.len()
    )))
}
