//! A port of a USB hub that can switch it, through uhubctl.
//!
//! uhubctl 2.5 ends with 0 also where the port's state did not change, so what it says of the port
//! afterwards is read: `New status for hub 1-1.4 [...]`, and below it `  Port 2: 0000 off` or
//! `  Port 2: 0100 power`. A USB 3 hub has a second location for the same port, which uhubctl
//! switches along and tells of in the same way.

use std::path::PathBuf;

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Power};
use hilrig_core::units::Span;
use tokio::process::Command;

use super::SWITCHING;
use super::commands::output;
use super::program::{self, NoEnd};

const PERMISSION: &str = "Give your group the hub: write\n  \
    SUBSYSTEM==\"usb\", DRIVER==\"usb\", MODE=\"0664\", GROUP=\"dialout\"\n\
    into /etc/udev/rules.d/52-usb-hub.rules, then: sudo udevadm control --reload && sudo udevadm trigger";

/// The port.
#[derive(Debug)]
pub struct HubPort {
    hub: String,
    port: u32,
    program: PathBuf,
}

impl HubPort {
    /// Port `port`, counted from 1, of the hub at the location `hub` (`1-1.4`).
    pub fn new(hub: String, port: u32) -> HubPort {
        HubPort { hub, port, program: uhubctl().unwrap_or_else(|| "uhubctl".into()) }
    }

    /// The same with another uhubctl.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> HubPort {
        self.program = program;
        self
    }

    async fn switch(&self, on: bool) -> Result<(), BoardFault> {
        let action = if on { "on" } else { "off" };
        let port = self.port.to_string();
        let arguments = ["-l", &self.hub, "-p", &port, "-a", action];
        let tried =
            format!("switching {action} {} (uhubctl {})", self.words(), arguments.join(" "));
        let fault = |found: String| BoardFault::new(tried.as_str(), found);
        let mut command = Command::new(&self.program);
        command.args(arguments);
        let ended = match program::run(command, SWITCHING).await {
            Ok(ended) => ended,
            Err(NoEnd::NotStarted(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(
                    fault("uhubctl is not installed".into()).help("sudo apt-get install uhubctl")
                );
            }
            Err(NoEnd::NotStarted(error)) => return Err(fault(error.to_string())),
            Err(NoEnd::Late { stderr }) => {
                let waited = format!("no end within {}, so it was killed", Span(SWITCHING));
                return Err(fault(waited + &output(&stderr)));
            }
        };
        let stderr = String::from_utf8_lossy(&ended.stderr);
        if stderr.contains("permission problems") {
            return Err(fault("this user may not switch it".into()).help(PERMISSION));
        }
        if stderr.contains("No compatible") {
            let found = format!("there is no hub at {} that can switch its ports", self.hub);
            return Err(fault(found).help("`uhubctl` lists those that can, with their locations."));
        }
        if !ended.status.success() {
            return Err(fault(ended.status.to_string() + &output(&ended.stderr)));
        }
        let states = new_states(&String::from_utf8_lossy(&ended.stdout), self.port);
        if states.is_empty() {
            let found =
                format!("the hub does not report a port {}{}", self.port, output(&ended.stderr));
            return Err(fault(found).help("`uhubctl` lists the hubs with their ports."));
        }
        match states.iter().all(|state| *state == on) {
            true => Ok(()),
            false => Err(fault(format!("the hub reports that the port is not {action}{}", output(&ended.stderr)))
                .help("Some hubs report that they can switch and cannot; uhubctl's documentation lists those that can.")),
        }
    }
}

/// Where uhubctl is. Debian puts it into a folder that is not in each user's PATH.
pub fn uhubctl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(further)
        .map(|folder| folder.join("uhubctl"))
        .find(|file| file.is_file())
}

/// Whether `port` is on, by each status that uhubctl prints after switching.
fn new_states(stdout: &str, port: u32) -> Vec<bool> {
    let port = format!("Port {port}:");
    let mut new = false;
    let mut states = Vec::new();
    for line in stdout.lines().map(str::trim) {
        if line.starts_with("New status for hub") {
            new = true;
        } else if line.starts_with("Current status for hub") {
            new = false;
        } else if new && let Some(status) = line.strip_prefix(&port) {
            // The status bits in hex, then what they mean.
            states.extend(match status.split_whitespace().nth(1) {
                Some("off") => Some(false),
                Some("power") => Some(true),
                _ => None,
            });
        }
    }
    states
}

#[async_trait(?Send)]
impl Power for HubPort {
    fn words(&self) -> String {
        format!("port {} of the USB hub {}", self.port, self.hub)
    }

    async fn off(&mut self) -> Result<(), BoardFault> {
        self.switch(false).await
    }

    async fn on(&mut self) -> Result<(), BoardFault> {
        self.switch(true).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_status_after_switching_counts() {
        let both = "Current status for hub 2-1.3 [2109:0822 VIA Labs, Inc. USB3.1 Hub, USB 3.20, 4 ports, ppps]\n  \
            Port 1: 02a0 power 5gbps Rx.Detect\nSent power off request\n\
            New status for hub 2-1.3 [2109:0822 VIA Labs, Inc. USB3.1 Hub, USB 3.20, 4 ports, ppps]\n  \
            Port 1: 00a0 off\nCurrent status for hub 1-1.4 [2109:2822 VIA Labs, Inc. USB2.0 Hub]\n  \
            Port 1: 0100 power\nSent power off request\nNew status for hub 1-1.4 [2109:2822]\n  Port 1: 0000 off\n";
        assert_eq!(new_states(both, 1), [false, false]);
        assert_eq!(new_states(both, 2), [false; 0]);
        assert_eq!(new_states(&both[..both.find("Sent").unwrap()], 1), [false; 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, port: u32) {
            new_states(&text, port);
        }
    }
}
