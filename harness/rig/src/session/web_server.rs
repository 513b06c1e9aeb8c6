//! The web server of a board in configuration mode.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http::{self, Answer};
use crate::restart_check;
use crate::session::Session;
use crate::stop::Stop;

/// How long a chip that restarts may take to print something after its connections broke.
const STARTS_WITHIN: Duration = Duration::from_secs(3);
/// A web server that did not answer is asked again after this time.
const AGAIN: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// The address of the board's web server.
    ///
    /// # Errors
    /// The board was not brought up yet: a rig fault.
    pub fn web_server(&self) -> Result<SocketAddr, Stop> {
        self.web_server.get().ok_or_else(|| {
            Stop::Rig(
                "the address of the board's web server is not known: bring the board up first"
                    .into(),
            )
        })
    }

    /// GET of a path, with its query.
    ///
    /// # Errors
    /// No answer within the reply deadline: the board fails.
    pub async fn http_get(&self, path: &str) -> Result<Answer, Stop> {
        let server = self.web_server()?;
        self.answer(server, http::get(server, path, self.reply_deadline())).await
    }

    /// POST of `body` to a path.
    ///
    /// # Errors
    /// As those of [`Session::http_get`].
    pub async fn http_post(&self, path: &str, body: Vec<u8>) -> Result<Answer, Stop> {
        let server = self.web_server()?;
        self.answer(server, http::post(server, path, body, self.reply_deadline())).await
    }

    /// DELETE of a path.
    ///
    /// # Errors
    /// As those of [`Session::http_get`].
    pub async fn http_delete(&self, path: &str) -> Result<Answer, Stop> {
        let server = self.web_server()?;
        self.answer(server, http::delete(server, path, self.reply_deadline())).await
    }

    /// A request of the contract over HTTP, and the reply to it. Both are reported as an event.
    ///
    /// # Errors
    /// As those of [`Session::http_get`].
    pub async fn http_request(&self, request: &str) -> Result<Vec<u8>, Stop> {
        let asked = Instant::now();
        let reply = self.http_request_quiet(request).await?;
        self.emit_reply("http", request, &reply, asked.elapsed().as_secs_f64());
        Ok(reply)
    }

    /// The same without an event.
    pub(crate) async fn http_request_quiet(&self, request: &str) -> Result<Vec<u8>, Stop> {
        self.journal.doing(format!("requested {request} over HTTP"));
        let path = self.contract().http.request.replace("{request}", request);
        match self.http_get(&path).await {
            Ok(answer) => Ok(answer.body),
            Err(Stop::Failed(why)) => Err(Stop::Failed(format!("no reply to {request}: {why}"))),
            Err(stop) => Err(stop),
        }
    }

    async fn answer(
        &self,
        server: SocketAddr,
        answer: impl Future<Output = Result<Answer, http::NoAnswer>>,
    ) -> Result<Answer, Stop> {
        self.journal.waiting(answer).await.map_err(|why| self.no_answer(server, why))
    }

    /// The board's web server did not answer. The pool asks it again before it blames the board.
    pub(crate) fn no_answer(&self, server: SocketAddr, why: String) -> Stop {
        self.journal.not_answered(server);
        Stop::Failed(why)
    }

    /// Waits for what explains a failure: a start of the chip, and the dump of a crash.
    pub(crate) async fn settle_after_failure(&self) {
        self.journal.waiting(self.explained()).await;
        self.journal.waiting(self.log.settle()).await;
    }

    /// A board that restarts breaks its connections before its ROM prints. The start that explains it is waited
    /// for, unless the web server answers meanwhile.
    async fn explained(&self) {
        let Some(server) = self.journal.take_not_answered() else { return };
        let answers = async {
            let page = &self.contract().http.page;
            while http::get(server, page, STARTS_WITHIN).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = answers => {}
            () = restart_check::any(&self.journal, &self.log) => {}
            () = tokio::time::sleep(STARTS_WITHIN) => {}
        }
    }
}
