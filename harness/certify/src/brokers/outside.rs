//! A broker that is already running, which the rig only connects to.

use std::path::Path;
use std::time::Duration;

use hilrig::Error;
use hilrig_broker::Login;
use hilrig_core::certify::CaseResult;
use rustls::pki_types::{CertificateDer, ServerName};

use super::client_files::{self, OwnCertificate};
use super::reach::{self, Reached};
use super::{certificate_view, refusal};

/// A broker that is already running, as given on the command line.
#[derive(Clone, Copy, Debug)]
pub struct OutsideRequest<'a> {
    /// HOST:PORT.
    pub broker: &'a str,
    /// Its CA file, PEM or DER.
    pub ca: Option<&'a Path>,
    /// The name in its certificate, if it is not HOST.
    pub name: Option<&'a str>,
    /// The user, and a file with the password in its first line.
    pub login: Option<(&'a str, &'a Path)>,
    /// The files of a client certificate and its key, PEM.
    pub client_certificate: Option<(&'a Path, &'a Path)>,
    /// Also run the cases that put load on it or disturb its other clients.
    pub allow_load: bool,
}

/// The broker, with the contents of its files.
#[derive(Clone)]
pub struct Outside {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) server_name: String,
    pub(super) cas: Vec<CertificateDer<'static>>,
    pub(super) login: Option<Login>,
    pub(super) own: Option<OwnCertificate>,
    pub(super) allow_load: bool,
    /// What was found before any board is used.
    pub(super) reached: Option<Reached>,
}

impl Outside {
    /// Reads the files of the request.
    ///
    /// # Errors
    /// The invalid flag, and why.
    pub fn read(args: OutsideRequest<'_>) -> Result<Outside, Error> {
        let wrong = |found: &str| Error::usage(format!("--broker {}: {found}", args.broker));
        let (host, port) =
            args.broker.rsplit_once(':').ok_or_else(|| wrong("with --ca this is HOST:PORT"))?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| wrong("the port is a number from 1 to 65535"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("this is HOST:PORT"));
        }
        let Some(file) = args.ca else {
            return Err(wrong("it needs the broker's CA, --ca FILE: what it shows is verified"));
        };
        let server_name = args.name.unwrap_or(host).to_owned();
        ServerName::try_from(server_name.clone()).map_err(|_| {
            wrong(&format!("`{server_name}` is no name that a certificate can be for (--name)"))
        })?;
        let login = match args.login {
            Some((user, file)) => {
                Some(Login { user: user.into(), password: client_files::password(file)? })
            }
            None => None,
        };
        let certificate = match args.client_certificate {
            Some((certificate, key)) => Some(client_files::certificate(certificate, key)?),
            None => None,
        };
        Ok(Outside {
            name: args.broker.into(),
            host: host.into(),
            port,
            server_name,
            cas: client_files::cas(file)?,
            login,
            own: certificate,
            allow_load: args.allow_load,
            reached: None,
        })
    }

    /// Checks that it is reachable, before the bench is used.
    ///
    /// # Errors
    /// What was found instead, one line.
    pub async fn reach(self, deadline: Duration) -> Result<Outside, Error> {
        let Outside { name, host, port, server_name, cas, own, .. } = &self;
        let own = own.as_ref().map(OwnCertificate::pem);
        let reached = reach::reach(host, *port, server_name, cas, own, deadline).await;
        let reached = reached.map_err(|found| Error::rig(format!("--broker {name}: {found}")))?;
        Ok(Outside { reached: Some(reached), ..self })
    }

    /// The CA that the boards get: of several, the one that issued the broker's chain.
    pub(super) fn ca(&self) -> &CertificateDer<'static> {
        let chain = self.reached.as_ref().map(|reached| &reached.chain[..]);
        certificate_view::fitting(&self.cas, chain.unwrap_or_default())
    }

    /// The secrets, which must never be printed.
    pub fn secrets(&self) -> Vec<String> {
        let password = self.login.as_ref().map(|login| login.password.clone());
        let key = self.own.as_ref().map(OwnCertificate::key_lines).unwrap_or_default();
        password.into_iter().chain(key).collect()
    }

    /// One explanation of why the board was refused in the control.
    pub(super) fn why_refused(&self, result: &CaseResult) -> Option<String> {
        let given = refusal::Given {
            name: &self.server_name,
            ca: self.ca(),
            login: self.login.is_some(),
            certificate: self.own.is_some(),
        };
        Some(refusal::explain(result, &given, self.reached.as_ref()?))
    }
}
