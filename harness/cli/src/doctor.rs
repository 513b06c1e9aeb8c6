//! `hilrig doctor`.

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use hilrig_boards::discover::discover;
use hilrig_broker::engine_status;
use hilrig_core::config::{BrokerKind, Config};
use hilrig_core::exit;

use crate::args;
use crate::error::{Failure, print};
use crate::load;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// Version or place, or what is wrong.
    found: String,
    /// The command that mends it; none where nothing is wrong.
    mend: Option<String>,
    /// Whether a run cannot do without.
    needed: bool,
}

/// Tells what is there and what is missing.
pub async fn doctor(args: &args::Doctor) -> Result<u8, Failure> {
    let mut findings = Vec::new();
    let config = configuration(&args.config.config, &mut findings);
    firmware(config.as_ref(), &mut findings);
    qemu(config.as_ref(), &mut findings);
    broker(config.as_ref(), &mut findings).await;
    ports(&mut findings);

    let bad = findings.iter().any(|finding| finding.needed && finding.mend.is_some());
    let mut text = String::new();
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    for finding in &findings {
        let (word, colour) = match (&finding.mend, finding.needed) {
            (None, _) => ("ok     ", AnsiColor::Green),
            (Some(_), true) => ("missing", AnsiColor::Red),
            (Some(_), false) => ("without", AnsiColor::Yellow),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        text.push_str(&format!(
            "{style}{word}{style:#}  {:width$}  {}\n",
            finding.what, finding.found
        ));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("         {:width$}  -> {mend}\n", ""));
        }
    }
    text.push_str(match bad {
        true => "\nA run needs what is missing.\n",
        false => "\nEverything that a run needs is there.\n",
    });
    print(&text)?;
    Ok(if bad { exit::RIG_FAULT } else { exit::PASSED })
}

fn configuration(path: &Path, findings: &mut Vec<Finding>) -> Option<Config> {
    match load::config(path) {
        Ok(config) => {
            let boards = match config.boards.len() {
                0 => format!("{} virtual board(s)", config.virtual_.boards),
                n => format!("{n} board(s)"),
            };
            findings.push(ok("configuration", format!("{}: {boards}", path.display())));
            Some(config)
        }
        Err(failure) => {
            findings.push(Finding {
                what: "configuration",
                found: failure.message().to_owned(),
                mend: Some("hilrig init".into()),
                needed: true,
            });
            None
        }
    }
}

fn firmware(config: Option<&Config>, findings: &mut Vec<Finding>) {
    let Some(config) = config else { return };
    let looked = load::contract(config).and_then(|contract| {
        let images = config.firmware.keys();
        let images = images
            .map(|kind| load::image(config, &contract, *kind))
            .collect::<Result<Vec<_>, _>>()?;
        load::boot_rom(config)?;
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
        Err(failure) => Finding {
            what: "firmware",
            found: failure.message().to_owned(),
            mend: Some(
                "make firmware (in the folder of hilrig's sources), or name your own files".into(),
            ),
            needed: true,
        },
    });
}

fn qemu(config: Option<&Config>, findings: &mut Vec<Finding>) {
    let qemu = config
        .map_or_else(|| PathBuf::from("qemu-system-xtensa"), |config| config.virtual_.qemu.clone());
    // A bench of real boards does without it.
    let needed = config.is_none_or(|config| config.boards.is_empty());
    let version = std::process::Command::new(&qemu).arg("--version").output();
    findings.push(match version {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            ok(
                "QEMU",
                hilrig_core::text::printable(text.lines().next().unwrap_or_default().as_bytes()),
            )
        }
        Ok(output) => Finding {
            what: "QEMU",
            found: format!("`{} --version` ended with {}", qemu.display(), output.status),
            mend: Some("apt-get install qemu-system-misc".into()),
            needed,
        },
        Err(error) => Finding {
            what: "QEMU",
            found: format!("`{}`: {error}", qemu.display()),
            mend: Some("apt-get install qemu-system-misc".into()),
            needed,
        },
    });
}

async fn broker(config: Option<&Config>, findings: &mut Vec<Finding>) {
    let Some(config) = config else { return };
    let status = engine_status(&config.broker).await;
    let (engine, process) = (status.engine.is_ok(), status.mosquitto.is_ok());
    let kind = config.broker.kind;
    findings.push(match status.engine {
        Ok(version) => {
            let images = match status.images.is_empty() {
                true => "no broker image yet, the first run gets one".into(),
                false => status.images.join(", "),
            };
            ok("Docker engine", format!("{version}; {images}"))
        }
        Err(found) => Finding {
            what: "Docker engine",
            found,
            mend: Some(
                "apt-get install docker.io, and be in the group docker (or start dockerd)".into(),
            ),
            needed: kind == BrokerKind::Container || (kind == BrokerKind::Auto && !process),
        },
    });
    findings.push(match status.mosquitto {
        Ok((path, version)) => ok("mosquitto", format!("{version}, {}", path.display())),
        Err(found) => Finding {
            what: "mosquitto",
            found,
            mend: Some("apt-get install mosquitto".into()),
            needed: kind == BrokerKind::Process || (kind == BrokerKind::Auto && !engine),
        },
    });
}

fn ports(findings: &mut Vec<Finding>) {
    findings.push(match discover() {
        Ok(ports) => {
            let usb: Vec<_> = ports.iter().filter(|port| port.usb.is_some()).collect();
            match usb.iter().find_map(|port| Some((port, port.no_access.as_ref()?))) {
                Some((port, help)) => Finding {
                    what: "serial ports",
                    found: format!(
                        "{} on USB, and {} is not yours to open",
                        usb.len(),
                        port.port.display()
                    ),
                    mend: Some(help.clone()),
                    needed: false,
                },
                None => ok("serial ports", format!("{} on USB", usb.len())),
            }
        }
        Err(fault) => Finding {
            what: "serial ports",
            found: fault.to_string(),
            mend: Some("mount sysfs".into()),
            needed: false,
        },
    });
}

fn ok(what: &'static str, found: String) -> Finding {
    Finding { what, found, mend: None, needed: false }
}
