//! What the phases do in configuration mode, over HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hilrig_core::check::Check;
use hilrig_core::contract::{Contract, Request};
use hilrig_core::text;
use regex::Regex;

use crate::BrokerEndpoint;
use crate::http;
use crate::journal::Stop;
use crate::log::Log;
use crate::main_path::Path;
use crate::pool::judge;
use crate::restarts;
use crate::session::boot_log::Booted;
use crate::session::settings_form;

/// How long after its connections broke off a chip that restarts is heard.
const STARTS_WITHIN: Duration = Duration::from_secs(3);
/// A web server that did not answer is asked again after this time.
const AGAIN: Duration = Duration::from_millis(100);

/// What a board is to connect to.
pub(crate) struct Target<'a> {
    /// The broker.
    pub endpoint: &'a BrokerEndpoint,
    /// The port that the board is told.
    pub port: u16,
    /// Attempts before it gives up.
    pub attempts: u32,
    /// Fields that count more than those of the configuration.
    pub first: &'a [(String, String)],
}

impl Path<'_> {
    /// Sets the broker and switches the board to MQTT mode.
    pub(crate) async fn to_mqtt(&self, booted: &Booted, to: &Target<'_>) -> Result<(), Stop> {
        let contract = &self.bench.plan.contract;
        let http = self.http(booted)?;
        let rig = booted.rig.ok_or_else(|| Stop::Rig("the rig's address is not known".into()))?;
        self.journal.doing("sent the settings over HTTP");
        let form = settings_form::settings(
            contract,
            &settings_form::Values {
                endpoint: to.endpoint,
                port: to.port,
                rig,
                time_port: self.bench.time_port,
                attempts: to.attempts,
                client_id: self.client_id(),
                first: to.first,
                more: &self.bench.plan.settings,
            },
        );
        let answer = self.journal.waiting(http::get(http, &form, self.reply_deadline())).await;
        let answer = answer.map_err(|why| self.no_answer(http, why))?;
        if answer.status != 200 {
            return Err(Stop::Failed(format!(
                "the settings were not accepted: {} `{}`",
                answer.status,
                text::printable(&answer.body)
            )));
        }
        let switch = &contract.switch.to_mqtt;
        if let Some(log) = self.log.get() {
            log.switch_asked();
        }
        let reply = self.request_over_http(http, &switch.request).await?;
        mismatch(switch, &reply).map_or(Ok(()), |wrong| Err(Stop::Failed(wrong)))
    }

    /// The board's client id at the broker.
    pub(crate) fn client_id(&self) -> String {
        format!("hilrig-{}", self.number)
    }

    /// The page is served and has the fields that the run sets.
    pub(crate) async fn page(&self, http: SocketAddr) -> Result<(), Stop> {
        let contract = &self.bench.plan.contract;
        let id = "configuration.page";
        self.step(id);
        self.journal.doing("requested the configuration page over HTTP");
        let answer =
            self.journal.waiting(http::get(http, &contract.http.page, self.reply_deadline())).await;
        let answer = answer.map_err(|why| self.no_answer(http, why))?;
        let page = String::from_utf8_lossy(&answer.body);
        let missing = settings_form::fields(contract).find(|field| {
            let double = format!("name=\"{field}\"");
            !page.contains(&double)
                && !page.contains(&double.replace('"', "'"))
                && !page.contains(&double.replace('"', ""))
        });
        let (held, found) = match (answer.status, missing) {
            (200, None) => (true, format!("{} B", answer.body.len())),
            (200, Some(field)) => (false, format!("no field `{field}` in {} B", answer.body.len())),
            (status, _) => (false, format!("status {status}: `{}`", text::printable(&answer.body))),
        };
        self.journal.check(Check::of(id, judge::title(id), held, &found));
        if held { Ok(()) } else { Err(Stop::Failed(format!("configuration page: {found}"))) }
    }

    pub(crate) async fn requests_over_http(&self, http: SocketAddr) -> Result<(), Stop> {
        let contract = &self.bench.plan.contract;
        self.step("configuration.requests");
        let mut wrong = Vec::new();
        for request in &contract.requests {
            let reply = self.request_over_http(http, &request.request).await?;
            wrong.extend(mismatch(request, &reply));
            self.heap_of(&request.request, &reply, &mut wrong);
        }
        for request in invalid(contract) {
            let reply = self.request_over_http(http, &request.request).await?;
            wrong.extend(mismatch(&request, &reply));
        }
        self.all_of(
            "configuration.requests",
            contract.requests.len() + contract.invalid.requests.len(),
            wrong,
        );
        Ok(())
    }

    pub(crate) async fn request_over_http(
        &self,
        http: SocketAddr,
        request: &str,
    ) -> Result<Vec<u8>, Stop> {
        let asked = Instant::now();
        let reply = self.request_over_http_untold(http, request).await?;
        self.reply("http", request, &reply, asked.elapsed().as_secs_f64());
        Ok(reply)
    }

    /// The same without telling of it.
    pub(crate) async fn request_over_http_untold(
        &self,
        http: SocketAddr,
        request: &str,
    ) -> Result<Vec<u8>, Stop> {
        self.journal.doing(format!("requested {request} over HTTP"));
        let path = self.bench.plan.contract.http.request.replace("{request}", request);
        let answer = self.journal.waiting(http::get(http, &path, self.reply_deadline())).await;
        let answer =
            answer.map_err(|why| self.no_answer(http, format!("no reply to {request}: {why}")))?;
        Ok(answer.body)
    }

    /// The board's web server did not answer. It is asked again before the board is blamed.
    pub(crate) fn no_answer(&self, http: SocketAddr, why: String) -> Stop {
        self.journal.not_answered(http);
        Stop::Failed(why)
    }

    /// A board that restarts breaks its connections off before its ROM speaks: the start that explains it
    /// is waited for, unless the web server answers meanwhile.
    pub(crate) async fn explained(&self, log: &Log) {
        let Some(http) = self.journal.take_not_answered() else { return };
        let answers = async {
            let page = &self.bench.plan.contract.http.page;
            while http::get(http, page, STARTS_WITHIN).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = answers => {}
            () = restarts::any(self.journal, log) => {}
            () = tokio::time::sleep(STARTS_WITHIN) => {}
        }
    }

    pub(crate) fn http(&self, booted: &Booted) -> Result<SocketAddr, Stop> {
        booted
            .http
            .ok_or_else(|| Stop::Rig("the address of the board's web server is not known".into()))
    }
}

/// The requests that must be refused, with the refusal.
pub fn invalid(contract: &Contract) -> impl Iterator<Item = Request> {
    let refusal = contract.invalid.reply.as_ref();
    let requests = contract.invalid.requests.iter();
    requests.filter_map(move |request| {
        Some(Request { request: request.clone(), reply: refusal?.clone() })
    })
}

/// What is wrong with a reply, if anything is.
pub fn mismatch(request: &Request, reply: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(reply);
    let matches = request.reply.is_match(&said);
    (!matches).then(|| {
        format!(
            "{}: expected `{}`, got `{}`",
            request.request,
            expected(&request.reply),
            text::printable(reply)
        )
    })
}

/// A reply as the contract has it: the whole of it must match, which the pattern says at both ends.
fn expected(reply: &Regex) -> &str {
    let pattern = reply.as_str();
    let inner = pattern.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z"));
    inner.unwrap_or(pattern)
}
