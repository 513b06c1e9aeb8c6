//! Relays that are switched over HTTP.

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Power};
use hilrig_core::secrets::Ends;
use hilrig_core::text::printable;

use super::login::RelayLogin;
use super::{SWITCHING, http};

/// A relay of a device with Tasmota, by its web API: `GET /cm?cmnd=Power1%20Off` is answered
/// `{"POWER1":"OFF"}`, or `{"POWER":"OFF"}` where there is only one relay
/// (tasmota.github.io/docs/Commands).
#[derive(Debug)]
pub struct Tasmota {
    url: String,
    relay: u32,
    login: Option<RelayLogin>,
}

impl Tasmota {
    /// Relay `relay`, counted from 1, of the device at `url` (`http://192.168.0.40`).
    pub fn new(url: String, relay: u32, login: Option<RelayLogin>) -> Tasmota {
        Tasmota { url: url.trim_end_matches('/').into(), relay, login }
    }

    async fn switch(&self, on: bool) -> Result<(), BoardFault> {
        let (action, state) = if on { ("On", "ON") } else { ("Off", "OFF") };
        let login = self.login.as_ref().map(|RelayLogin { user, password }| {
            format!("user={}&password={}&", query_value(user), query_value(password))
        });
        let login = login.unwrap_or_default();
        let url = format!("{}/cm?{login}cmnd=Power{}%20{action}", self.url, self.relay);
        let tried = format!("switching {} {}", action.to_lowercase(), self.words());
        let secrets = RelayLogin::secrets(self.login.as_ref());
        let fault = |found: String| BoardFault::new(tried.as_str(), secrets.mask(&found));
        let answer = match http::get(&url, None, SWITCHING).await {
            Ok(answer) => answer,
            Err(found) => {
                return Err(fault(found).help("Is the relay on the network, at this address?"));
            }
        };
        let body = printable(&secrets.mask_bytes(&answer.body, Ends::Whole));
        let found = format!("it answered {} `{body}`", answer.status);
        // {"WARNING":"Need user=<username>&password=<password>"}
        if answer.status == 401 || body.contains("\"WARNING\"") {
            return Err(fault(found).help(
                "Its web password is needed: name `user` and, in `password_env`, the environment variable that has it.",
            ));
        }
        let json = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
        let reported = json
            .get(format!("POWER{}", self.relay))
            .or_else(|| json.get("POWER").filter(|_| self.relay == 1));
        match reported.and_then(serde_json::Value::as_str) {
            Some(reported) if reported.eq_ignore_ascii_case(state) && answer.status == 200 => Ok(()),
            _ => Err(fault(found).help(format!(
                "`{{\"POWER{}\":\"{state}\"}}` was expected: is it Tasmota, does it have such a relay, and is its StateText the default?",
                self.relay
            ))),
        }
    }
}

#[async_trait(?Send)]
impl Power for Tasmota {
    fn words(&self) -> String {
        format!("relay {} of the Tasmota at {}", self.relay, self.url)
    }

    async fn off(&mut self) -> Result<(), BoardFault> {
        self.switch(false).await
    }

    async fn on(&mut self) -> Result<(), BoardFault> {
        self.switch(true).await
    }
}

/// A relay that is switched by a GET of an address. Any answer of 200 to 299 means that it is done.
#[derive(Debug)]
pub struct UrlRelay {
    on: String,
    off: String,
    login: Option<RelayLogin>,
}

impl UrlRelay {
    /// The login is sent as HTTP's Basic authentication.
    pub fn new(on: String, off: String, login: Option<RelayLogin>) -> UrlRelay {
        UrlRelay { on, off, login }
    }

    async fn ask(&self, url: &str) -> Result<(), BoardFault> {
        let tried = format!("switching the power by GET {}", http::shown(url));
        let secrets = RelayLogin::secrets(self.login.as_ref());
        let fault = |found: String| BoardFault::new(tried.as_str(), secrets.mask(&found));
        match http::get(url, self.login.as_ref(), SWITCHING).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let found = format!(
                    "it answered {} `{}`",
                    answer.status,
                    printable(&secrets.mask_bytes(&answer.body, Ends::Whole))
                );
                Err(fault(found).help(match answer.status {
                    401 | 403 => "A login is needed: name `user` and, in `password_env`, the environment variable that has the password.",
                    300..=399 => "Name the address that it leads to.",
                    _ => "Any answer of 200 to 299 means that it is done.",
                }))
            }
            Err(found) => Err(fault(found).help("Is the relay on the network, at this address?")),
        }
    }
}

#[async_trait(?Send)]
impl Power for UrlRelay {
    fn words(&self) -> String {
        format!("the relay at {}", http::shown(&self.off))
    }

    async fn off(&mut self) -> Result<(), BoardFault> {
        self.ask(&self.off).await
    }

    async fn on(&mut self) -> Result<(), BoardFault> {
        self.ask(&self.on).await
    }
}

/// A value for a query: everything but unreserved characters (RFC 3986) as `%XX`.
fn query_value(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
