//! What is known of a broker before its start, from its description file.

mod find;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use hilrig_core::certify::{BrokerTls, Identity, Versions};
use hilrig_core::config::BrokerConfig;
use regex::Regex;
use serde::{Deserialize, Deserializer};

pub use find::Found;

/// The port of the listener with the impostor's certificate, where a broker's own configuration has one.
pub(crate) const IMPOSTOR: &str = "impostor";

/// No user may publish or subscribe to this topic or one below it, where the broker has such
/// permissions ([`BrokerDescription::can_forbid_topics`]).
pub const FORBIDDEN: &str = "forbidden";

/// A description and its templates, by their names.
type Source = (&'static str, &'static [(&'static str, &'static str)]);

macro_rules! described {
    ($($name:literal: [$($file:literal in $folder:literal),*]),* $(,)?) => {
        &[$((
            include_str!(concat!("../../descriptions/", $name, "/broker.toml")),
            &[$(($file, include_str!(concat!("../../descriptions/", $folder, "/", $file)))),*],
        )),*]
    };
}

/// Every broker that there is a description of, in the order of the reports.
const SOURCES: &[Source] = described! {
    "mosquitto": [
        "mosquitto.conf" in "mosquitto",
        "passwords" in "mosquitto",
        "permissions" in "mosquitto",
        "openssl.cnf" in "shared"
    ],
    "rabbitmq": [
        "rabbitmq.conf" in "rabbitmq",
        "advanced.config" in "rabbitmq",
        "definitions.json" in "rabbitmq",
        "enabled_plugins" in "rabbitmq"
    ],
    "nats": ["nats.conf" in "nats"],
    "nats-defaults": ["nats.conf" in "nats"],
    "activemq": [
        "activemq.xml" in "activemq",
        "log4j.properties" in "activemq",
        "log4j2.properties" in "activemq"
    ],
    "amqtt": ["amqtt.yaml" in "amqtt", "openssl.cnf" in "shared"],
    "aedes": ["broker.mjs" in "aedes"],
    "rumqttd": ["rumqttd.toml" in "rumqttd"],
};

/// A broker that can be started, as its file describes it. `broker/descriptions/README.md` explains
/// the keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerDescription {
    /// Its name on the command line.
    pub name: String,
    /// The name as its makers write it.
    pub title: String,
    /// Names of its program; the first that is found counts.
    pub(crate) program: Vec<String>,
    pub(crate) install: Install,
    /// Descriptions of the same broker in other set-ups, which are certified with it.
    #[serde(default)]
    pub(crate) beside: Vec<String>,
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, Need>,
    /// The file to write: the template for it.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) prepare: Vec<Step>,
    /// Further ports, in addition to the one for MQTT.
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    #[serde(default)]
    pub(crate) helper: Option<Helper>,
    pub(crate) run: Run,
    #[serde(default)]
    pub(crate) container: Option<Container>,
    pub(crate) ready: Ready,
    pub(crate) end: End,
    pub(crate) version: Reading,
    pub(crate) tls_library: TlsLibrary,
    pub(crate) can: Can,
    /// The templates' texts.
    #[serde(skip)]
    pub(crate) templates: BTreeMap<String, String>,
}

/// Its source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Install {
    from: Registry,
    packages: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Apt,
    Pip,
    Npm,
    Cargo,
}

/// A file or folder that must exist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Need {
    /// Folders to search; `$NAME` is replaced by those of an environment variable.
    pub look_in: Vec<String>,
    /// What must be in one of them.
    pub path: String,
}

/// A command that makes a file before the broker is started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its standard input.
    #[serde(default)]
    pub input: String,
    /// File that its output goes to.
    pub output: Option<String>,
    /// Only with a second certificate, or only if client certificates are required.
    #[serde(default)]
    pub only: Option<Only>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Only {
    SecondCertificate,
    ClientCertificate,
}

/// A further process that the broker needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Helper {
    pub program: Vec<String>,
    pub arguments: Vec<String>,
    /// Name of the port that it opens.
    pub port: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Arguments of its program. One that is empty after substitution is left out.
    pub arguments: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Its settings for a container; anything missing is as for the process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Container {
    /// The public image.
    pub image: String,
    /// If it cannot be pulled, an image is built from this machine's program: only Mosquitto supports this.
    #[serde(default)]
    pub built_here: bool,
    /// The program in the image; a bare name is looked up in the image's PATH.
    pub program: PathBuf,
    /// Paths in the image of the further files and folders, by name.
    #[serde(default)]
    pub needs: BTreeMap<String, PathBuf>,
    /// The helper's program in the image.
    pub helper: Option<PathBuf>,
    /// Replaces the process's.
    pub arguments: Option<Vec<String>>,
    /// Added to the process's, or replaces one of them.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    /// Text in a line of its log when it is up. A hint only: a CONNACK decides.
    pub log: Option<Pattern>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub signal: EndSignal,
    /// Seconds from the signal to SIGKILL.
    pub grace_s: u64,
    /// Exit codes of a regular end.
    pub codes: Vec<i32>,
    /// It handles a signal only at the next connection, or some time later.
    #[serde(default)]
    pub wake: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum EndSignal {
    Term,
    Int,
    Kill,
}

/// The source of a version: the first group of the pattern.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Reading {
    /// In its log.
    Log { log: Pattern },
    /// In the output of a command.
    Command { command: Vec<String>, prints: Pattern },
    /// In the bytes of a file.
    File { file: String, bytes: BytesPattern },
    /// In the bytes of a library that the running process has mapped: the one whose name starts with this.
    Mapped { mapped: String, bytes: BytesPattern },
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TlsLibrary {
    pub name: String,
    #[serde(flatten)]
    pub reading: Reading,
}

/// A feature: `true`, or the reason why it is not supported.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Can {
    only_1_3: Able,
    sha1: Able,
    second_certificate: Able,
    client_certificate: Able,
    login: Able,
    permission: Able,
}

#[derive(Clone, Debug)]
struct Able(Result<(), String>);

impl<'de> Deserialize<'de> for Able {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Yes(bool),
            No(String),
        }
        match Said::deserialize(deserializer)? {
            Said::Yes(true) => Ok(Able(Ok(()))),
            Said::No(reason) if !reason.trim().is_empty() => Ok(Able(Err(reason))),
            _ => Err(serde::de::Error::custom("either true, or the reason why not")),
        }
    }
}

macro_rules! pattern {
    ($name:ident, $regex:ty) => {
        #[derive(Clone, Debug)]
        pub(crate) struct $name(pub $regex);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                <$regex>::new(&text).map($name).map_err(serde::de::Error::custom)
            }
        }
    };
}
pattern!(Pattern, Regex);
pattern!(BytesPattern, regex::bytes::Regex);

impl BrokerDescription {
    /// Every broker that hilrig has a description of.
    pub fn all() -> &'static [Arc<BrokerDescription>] {
        static ALL: LazyLock<Vec<Arc<BrokerDescription>>> = LazyLock::new(|| {
            let parsed =
                SOURCES.iter().map(|(text, templates)| BrokerDescription::parse(text, templates));
            // They are part of this program, and a test reads all of them.
            let all = parsed.map(|one| one.map(Arc::new)).collect::<Result<_, _>>();
            all.expect("the brokers' descriptions are sound")
        });
        &ALL
    }

    /// The broker of this name.
    ///
    /// # Errors
    /// The list of names, as text.
    pub fn named(name: &str) -> Result<Arc<BrokerDescription>, String> {
        let all = BrokerDescription::all();
        all.iter().find(|software| software.name == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            format!("there is no broker `{name}`; there are {}", known.join(", "))
        })
    }

    /// This broker, and its other set-ups that are certified with it.
    pub fn with_beside(self: &Arc<Self>) -> Vec<Arc<BrokerDescription>> {
        let beside = self.beside.iter().filter_map(|name| BrokerDescription::named(name).ok());
        [self.clone()].into_iter().chain(beside).collect()
    }

    /// The broker that the configuration names, with its program and its image.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn configured(config: &BrokerConfig) -> Result<Arc<BrokerDescription>, String> {
        let mut software = BrokerDescription::named(&config.software)
            .map_err(|found| format!("broker.software: {found}"))?;
        if let Some(image) = &config.image {
            if software.container.is_none() {
                let title = &software.title;
                return Err(format!("broker.image: {title} is always a process of this machine"));
            }
            software = software.with_image(image);
        }
        if let Some(executable) = &config.executable {
            software = software.with_program(executable);
        }
        Ok(software)
    }

    /// The same with another program of this machine; a bare name is looked up.
    #[must_use]
    pub fn with_program(self: &Arc<Self>, program: &Path) -> Arc<BrokerDescription> {
        let program = vec![program.to_string_lossy().into_owned()];
        Arc::new(BrokerDescription { program, ..BrokerDescription::clone(self) })
    }

    /// The same in a container of another image. A broker that is always a process is unchanged.
    #[must_use]
    pub fn with_image(self: &Arc<Self>, image: &str) -> Arc<BrokerDescription> {
        let mut other = BrokerDescription::clone(self);
        if let Some(container) = &mut other.container {
            container.image = image.to_owned();
        }
        Arc::new(other)
    }

    /// Reads a description, with the templates that it names.
    ///
    /// # Errors
    /// The key and the line of what is wrong.
    pub fn parse(text: &str, templates: &[(&str, &str)]) -> Result<BrokerDescription, String> {
        let mut software: BrokerDescription =
            toml::from_str(text).map_err(|error| error.to_string())?;
        software.templates =
            templates.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        for (file, template) in &software.files {
            if !software.templates.contains_key(template) {
                return Err(format!("files.{file:?}: there is no template {template:?}"));
            }
        }
        if let Some(container) = &software.container {
            let missing = software.needs.keys().find(|name| !container.needs.contains_key(*name));
            if let Some(name) = missing {
                return Err(format!("container.needs.{name}: the process needs it"));
            }
            if software.helper.is_some() && container.helper.is_none() {
                return Err("container.helper: the process has one".into());
            }
        }
        if software.end.signal == EndSignal::Kill && software.end.wake {
            return Err("end.wake: KILL needs none".into());
        }
        if software.program.is_empty() {
            return Err("program: at least one name is needed".into());
        }
        Ok(software)
    }

    /// The command that installs it.
    pub fn install_with(&self) -> String {
        let packages = self.install.packages.join(" ");
        match self.install.from {
            Registry::Apt => format!("apt-get install {packages}"),
            Registry::Pip => format!("pip install {packages}"),
            Registry::Npm => format!("npm install --global {packages}"),
            Registry::Cargo => format!("cargo install {packages}"),
        }
    }

    /// The public image that it can be started from in a container.
    pub fn image(&self) -> Option<&str> {
        self.container.as_ref().map(|container| container.image.as_str())
    }

    /// If its image cannot be pulled, one is built from this machine's own program.
    pub(crate) fn image_is_built_here(&self) -> bool {
        self.container.as_ref().is_some_and(|container| container.built_here)
    }

    /// Whether it supports this set-up.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn can(&self, tls: &BrokerTls) -> Result<(), String> {
        let asked = [
            (tls.versions == Versions::Only13, &self.can.only_1_3),
            (tls.identity == Identity::RsaSha1, &self.can.sha1),
            (tls.second.is_some(), &self.can.second_certificate),
            (tls.client_certificate, &self.can.client_certificate),
        ];
        if tls.front.is_some() && tls.client_certificate {
            return Err("the TLS front asks for no client certificate".into());
        }
        if tls.front.is_some() && tls.second.is_some() {
            return Err("the TLS front shows one certificate".into());
        }
        asked.into_iter().filter(|(asked, _)| *asked).try_for_each(|(_, able)| able.0.clone())
    }

    /// Whether it can require a user and a password.
    ///
    /// # Errors
    /// The reason, as text, why it cannot.
    pub fn can_ask_for_login(&self) -> Result<(), String> {
        self.can.login.0.clone()
    }

    /// Whether it can deny topics to a user ([`FORBIDDEN`]).
    ///
    /// # Errors
    /// The reason, as text, why it cannot.
    pub fn can_forbid_topics(&self) -> Result<(), String> {
        self.can.permission.0.clone()
    }

    /// It opens a second listener of its own for an impostor's certificate.
    pub(crate) fn has_impostor_listener(&self) -> bool {
        self.ports.iter().any(|port| port == IMPOSTOR)
    }

    /// The TLS library that it uses, without its version.
    pub fn tls_library(&self) -> &str {
        &self.tls_library.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_description_can_be_read_and_each_name_is_one_of_its_own() {
        let names: Vec<&str> = BrokerDescription::all().iter().map(|s| s.name.as_str()).collect();
        let mut different = names.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert!(
            BrokerDescription::named("mosquitto")
                .unwrap()
                .install_with()
                .contains("apt-get install")
        );
    }

    #[test]
    fn what_is_wrong_in_one_is_told_with_its_key() {
        let (text, templates) = SOURCES[0];
        for (from, to, told) in [
            ("grace_s", "grace", "grace"),
            ("signal = \"TERM\"", "signal = \"HUP\"", "HUP"),
            ("permission = true", "permission = false", "reason why not"),
            ("permission = true", "permission = ''", "reason why not"),
            ("= \"permissions\"", "= \"nowhere\"", "nowhere"),
            ("'mosquitto version \\S+ running'", "'('", "regex parse error"),
            ("built_here", "built", "built"),
            ("[ready]", "[needs.x]\nlook_in = []\npath = 'x'\n[ready]", "container.needs.x"),
            ("name = \"mosquitto\"", "", "name"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = BrokerDescription::parse(&changed, templates).unwrap_err();
            assert!(error.contains(told), "{to}: {error}");
        }
    }
}
