//! `page`: the configuration page, one request behind the other, and then as many at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hilrig_core::leak;
use hilrig_core::text;
use hilrig_core::units::Span;

use crate::http::{self, Tried};
use crate::journal::Stop;
use crate::main_path::Path;
use crate::scenario::Steps;
use crate::session::boot_log::Booted;
use crate::session::configuration_mode::mismatch;

/// How often the heap is looked at that is to come back.
const AGAIN: Duration = Duration::from_millis(200);

impl Path<'_> {
    pub(super) async fn page_under_load(&self, steps: &Steps, booted: &Booted) -> Result<(), Stop> {
        let http = self.http(booted)?;
        steps.begin(self.heap_over_http(http).await?);
        let mut page = None;
        while steps.more() {
            let body = self.one_page(http).await?;
            let first = page.get_or_insert_with(|| body.clone());
            same(first, &body)?;
            let text = format!("the page, {} B", body.len());
            steps.done(self.journal, text, self.heap_over_http(http).await?);
        }
        if let Some(page) = page {
            self.pages_at_once(http, steps, &page).await?;
        }
        Ok(())
    }

    async fn one_page(&self, http: SocketAddr) -> Result<Vec<u8>, Stop> {
        let page = &self.bench.plan.contract.http.page;
        let answer = self.journal.waiting(http::get(http, page, self.reply_deadline())).await;
        let answer = answer.map_err(|why| self.no_answer(http, why))?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Stop::Failed(format!(
                "the page: status {status}: `{}`",
                text::printable(&answer.body)
            ))),
        }
    }

    /// As many requests at once. The board may answer them one behind the other, so that each has as
    /// long as all together.
    async fn pages_at_once(
        &self,
        http: SocketAddr,
        steps: &Steps,
        page: &[u8],
    ) -> Result<(), Stop> {
        let contract = &self.bench.plan.contract.http;
        let count = steps.count() as usize;
        let deadline = self.reply_deadline() * steps.count();
        let before = steps.median_free();
        let all = (0..count).map(|_| http::try_get(http, &contract.page, deadline));
        let mut answered = 0;
        let mut refused = None;
        for tried in self.journal.waiting(join_all(all)).await {
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
        let free = self.heap_comes_back(http, before).await?;
        let text = format!("{count} at once, {answered} answered, {} refused", count - answered);
        steps.done(self.journal, text, free);
        Ok(())
    }

    /// What a connection holds for a while after its end is given back within the time of a reply.
    async fn heap_comes_back(
        &self,
        http: SocketAddr,
        before: Option<u64>,
    ) -> Result<Option<u64>, Stop> {
        let since = Instant::now();
        loop {
            let free = self.heap_over_http(http).await?;
            let (Some(now), Some(before)) = (free, before) else { return Ok(free) };
            if now + leak::ALLOWED as u64 >= before {
                return Ok(free);
            }
            if since.elapsed() > self.reply_deadline() {
                return Err(Stop::Failed(format!(
                    "the heap does not come back after the requests at once: {now} B are free {} later, and {before} B were before",
                    Span(self.reply_deadline())
                )));
            }
            self.journal.waiting(tokio::time::sleep(AGAIN)).await;
        }
    }

    async fn heap_over_http(&self, http: SocketAddr) -> Result<Option<u64>, Stop> {
        let contract = &self.bench.plan.contract;
        let Some(request) = contract.heap_request() else { return Ok(None) };
        let reply = self.request_over_http_untold(http, &request.request).await?;
        if let Some(wrong) = mismatch(request, &reply) {
            return Err(Stop::Failed(wrong));
        }
        Ok(self.counts(self.of_now(&reply)?))
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
