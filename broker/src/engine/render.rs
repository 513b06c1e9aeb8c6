//! Fills in the placeholders of a description.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::certify::Versions;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::mosquitto_password::password_line;
use super::plan::InstancePlan;
use crate::descriptions::{BrokerDescription, FORBIDDEN, Found};
use crate::error::BrokerError;

/// Names of the files that every broker gets.
pub(super) const CERTIFICATE: &str = "certificate.pem";
pub(super) const KEY: &str = "key.pem";
pub(super) const BUNDLE: &str = "bundle.pem";
pub(super) const ROOT: &str = "root.pem";
pub(super) const SECOND_CERTIFICATE: &str = "second-certificate.pem";
pub(super) const SECOND_KEY: &str = "second-key.pem";
pub(super) const CLIENT_CA: &str = "client-ca.pem";
pub(super) const IMPOSTOR_CERTIFICATE: &str = "impostor.pem";
pub(super) const IMPOSTOR_KEY: &str = "impostor-key.pem";

/// Fills in templates with the values of one start.
pub(super) struct Renderer {
    environment: Environment<'static>,
    context: Value,
}

impl Renderer {
    /// `ports` has the one of MQTT under `mqtt`.
    pub fn new(
        software: &BrokerDescription,
        order: &InstancePlan,
        found: &Found,
        ports: &BTreeMap<String, u16>,
    ) -> Result<Renderer, BrokerError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        // None of the files is HTML.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let dir = plain(&order.dir)?;
        let path = |name: &str| format!("{dir}/{name}");
        let password = password_line(&order.login)?;
        let needs: BTreeMap<_, _> =
            found.needs.iter().map(|(name, at)| (name.clone(), at.display().to_string())).collect();
        let context = context! {
            name => &software.name,
            dir => &dir,
            address => order.listen.to_string(),
            port => ports["mqtt"],
            ports => ports,
            certificate => path(CERTIFICATE),
            key => path(KEY),
            bundle => path(BUNDLE),
            root => path(ROOT),
            has_second => order.material.second.is_some(),
            second_certificate => path(SECOND_CERTIFICATE),
            second_key => path(SECOND_KEY),
            has_impostor => order.impostor.is_some(),
            impostor_certificate => path(IMPOSTOR_CERTIFICATE),
            impostor_key => path(IMPOSTOR_KEY),
            client_certificate => order.tls.client_certificate,
            client_ca => path(CLIENT_CA),
            only_1_3 => order.tls.versions == Versions::Only13,
            sha1 => order.material.sha1,
            user => &order.login.user,
            password => &order.login.password,
            mosquitto_password => password,
            forbidden => FORBIDDEN,
            program => found.program.display().to_string(),
            interpreter => found.interpreter.as_ref().map(|at| at.display().to_string()),
            needs => needs,
        };
        Ok(Renderer { environment, context })
    }

    /// A text filled in.
    pub fn fill(&self, text: &str) -> Result<String, BrokerError> {
        self.environment.render_str(text, &self.context).map_err(|error| BrokerError::Bench {
            what: format!("fill in {text:?}"),
            found: error.to_string(),
        })
    }
}

/// The path, if it is valid in the syntax of every broker's configuration.
fn plain(dir: &Path) -> Result<String, BrokerError> {
    let text = dir
        .to_str()
        .filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c)));
    text.map(str::to_owned).ok_or_else(|| BrokerError::Bench {
        what: format!("use {} for a broker's files", dir.display()),
        found: "brokers differ about what but letters, digits and '/._-+@' means in a path. Set TMPDIR \
                to another folder"
            .into(),
    })
}
