//! Looks at what this machine has, and what a run needs of it.

mod boards;
mod machine;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hilrig_boards::identity::discover::discover;
use hilrig_broker::{BrokerDescription, engine_status};
use hilrig_core::board_kind::VirtualChip;
use hilrig_core::config::{BoardKind, BrokerKind, Config};
use hilrig_core::plural::counted;

use crate::{Error, load};

/// One thing that a run may need.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What was looked at.
    pub what: Cow<'static, str>,
    /// Version or place, or what is wrong.
    pub found: String,
    /// The command that fixes it; `None` if nothing is wrong.
    pub fix: Option<String>,
    /// Whether a run needs it.
    pub needed: bool,
}

impl Diagnosis {
    /// A run needs it, and it is not there.
    pub fn is_missing(&self) -> bool {
        self.needed && self.fix.is_some()
    }
}

/// Looks at what runs with this configuration file need. Nothing is started, and no board is touched.
pub async fn examine(config: &Path) -> Vec<Diagnosis> {
    let mut findings = Vec::new();
    let config = configuration(config, &mut findings);
    firmware(config.as_ref(), &mut findings);
    qemu(config.as_ref(), &mut findings);
    broker(config.as_ref(), &mut findings).await;
    let configured = config.as_ref().map_or("mosquitto", |config| &config.broker.software);
    other_brokers(configured, &mut findings);
    ports(&mut findings);
    boards::boards(config.as_ref(), &mut findings).await;
    machine::machine(config.as_ref(), &mut findings);
    findings
}

fn configuration(path: &Path, findings: &mut Vec<Diagnosis>) -> Option<Config> {
    match load::config(path) {
        Ok(config) => {
            let boards = match config.boards.len() {
                0 => counted(config.virtual_.boards, "virtual board"),
                n => counted(n, "board"),
            };
            findings.push(ok("configuration", format!("{}: {boards}", path.display())));
            Some(config)
        }
        Err(error) => {
            findings.push(Diagnosis {
                what: "configuration".into(),
                found: error.message().to_owned(),
                fix: Some("hilrig init".into()),
                needed: true,
            });
            None
        }
    }
}

fn firmware(config: Option<&Config>, findings: &mut Vec<Diagnosis>) {
    let Some(config) = config else { return };
    let looked = load::contract(config).and_then(|contract| {
        let kinds = kinds(config);
        let images = kinds
            .iter()
            .map(|kind| {
                let image = load::image(config, &contract, *kind)?;
                load::of_image(config, &contract, *kind, &image)?;
                Ok(image)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        if has(&kinds, VirtualChip::Esp8266) {
            load::boot_rom(config)?;
        }
        Ok(images)
    });
    findings.push(match looked {
        Ok(images) => {
            let image = |image: &hilrig_core::image::Image| {
                let build = image.build.as_deref().unwrap_or("without a build id");
                format!("{} ({} B, build {build})", image.path.display(), image.bytes.len())
            };
            ok("firmware", images.iter().map(image).collect::<Vec<_>>().join(", "))
        }
        Err(error) => Diagnosis {
            what: "firmware".into(),
            found: error.message().to_owned(),
            fix: Some(
                "make firmware (in the folder of hilrig's sources), or name your own files".into(),
            ),
            needed: true,
        },
    });
}

/// The kinds of board that a run has.
fn kinds(config: &Config) -> BTreeSet<BoardKind> {
    match config.boards.is_empty() {
        true => BTreeSet::from([config.virtual_.kind]),
        false => config.boards.iter().map(|board| board.kind).collect(),
    }
}

/// Whether a board of a run has this virtual chip.
fn has(kinds: &BTreeSet<BoardKind>, chip: VirtualChip) -> bool {
    kinds.iter().any(|kind| kind.virtual_chip() == Some(chip))
}

fn qemu(config: Option<&Config>, findings: &mut Vec<Diagnosis>) {
    let program = |of: fn(&Config) -> &PathBuf, default: &str| {
        config.map_or_else(|| PathBuf::from(default), |config| of(config).clone())
    };
    let kinds = config.map_or_else(|| BTreeSet::from([BoardKind::Virtual]), kinds);
    let xtensa = program(|config| &config.virtual_.qemu, "qemu-system-xtensa");
    // Only virtual boards need it, and only Arm boards need the one for Arm.
    let needed = has(&kinds, VirtualChip::Esp8266);
    findings.push(one_qemu("QEMU", &xtensa, "qemu-system-misc", needed));
    if has(&kinds, VirtualChip::Lm3s6965) {
        let arm = program(|config| &config.virtual_.qemu_arm, "qemu-system-arm");
        findings.push(one_qemu("QEMU for Arm", &arm, "qemu-system-arm", true));
    }
}

fn one_qemu(what: &'static str, qemu: &Path, package: &str, needed: bool) -> Diagnosis {
    let missing = |found| {
        let fix = Some(format!("apt-get install {package}"));
        Diagnosis { what: what.into(), found, fix, needed }
    };
    match std::process::Command::new(qemu).arg("--version").output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            ok(
                what,
                hilrig_core::text::printable(text.lines().next().unwrap_or_default().as_bytes()),
            )
        }
        Ok(output) => {
            missing(format!("`{} --version` ended with {}", qemu.display(), output.status))
        }
        Err(error) => missing(format!("`{}`: {error}", qemu.display())),
    }
}

async fn broker(config: Option<&Config>, findings: &mut Vec<Diagnosis>) {
    let Some(config) = config else { return };
    let software = match BrokerDescription::configured(&config.broker) {
        Ok(software) => software,
        Err(found) => {
            let fix = "name one of them in the configuration".into();
            return findings.push(missing("broker", found, fix));
        }
    };
    let status = engine_status(&software).await;
    let (engine, process) = (status.engine.is_ok(), status.program.is_ok());
    let kind = config.broker.kind;
    findings.push(match status.engine {
        Ok(version) => {
            let images = match status.images.is_empty() {
                true => "no broker image yet, the first run gets one".into(),
                false => status.images.join(", "),
            };
            ok("Docker engine", format!("{version}; {images}"))
        }
        Err(found) => Diagnosis {
            what: "Docker engine".into(),
            found,
            fix: Some(
                "apt-get install docker.io, and be in the group docker (or start dockerd)".into(),
            ),
            needed: kind == BrokerKind::Container || (kind == BrokerKind::Auto && !process),
        },
    });
    let name = software.name.clone();
    findings.push(match status.program {
        Ok((path, version)) => {
            let version = version.map(|version| format!("{version}, ")).unwrap_or_default();
            ok(name, format!("{version}{}", path.display()))
        }
        Err(found) => Diagnosis {
            what: name.into(),
            found,
            fix: Some(software.install_with()),
            needed: kind == BrokerKind::Process || (kind == BrokerKind::Auto && !engine),
        },
    });
}

/// The brokers that are not the configured one.
fn other_brokers(configured: &str, findings: &mut Vec<Diagnosis>) {
    let others = BrokerDescription::all().iter().filter(|software| software.name != configured);
    findings.extend(others.map(|software| match software.find() {
        Ok(found) => ok(software.name.as_str(), found.program.display().to_string()),
        Err(_) => Diagnosis {
            what: software.name.as_str().into(),
            found: format!(
                "{} is not installed; only a run or a certification that names it needs it",
                software.title
            ),
            fix: Some(software.install_with()),
            needed: false,
        },
    }));
}

fn ports(findings: &mut Vec<Diagnosis>) {
    findings.push(match discover() {
        Ok(ports) => {
            let usb: Vec<_> = ports.iter().filter(|port| port.usb.is_some()).collect();
            match usb.iter().find_map(|port| Some((port, port.no_access.as_ref()?))) {
                Some((port, help)) => Diagnosis {
                    what: "serial ports".into(),
                    found: format!(
                        "{} on USB, and {} is not yours to open",
                        usb.len(),
                        port.port.display()
                    ),
                    fix: Some(help.clone()),
                    needed: false,
                },
                None => ok("serial ports", format!("{} on USB", usb.len())),
            }
        }
        Err(fault) => Diagnosis {
            what: "serial ports".into(),
            found: fault.to_string(),
            fix: Some("mount sysfs".into()),
            needed: false,
        },
    });
}

fn ok(what: impl Into<Cow<'static, str>>, found: String) -> Diagnosis {
    Diagnosis { what: what.into(), found, fix: None, needed: false }
}

/// A run needs it, and it is missing.
fn missing(what: impl Into<Cow<'static, str>>, found: String, fix: String) -> Diagnosis {
    Diagnosis { what: what.into(), found, fix: Some(fix), needed: true }
}
