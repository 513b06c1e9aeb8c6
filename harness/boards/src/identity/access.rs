//! What to do about a port or a probe that this user may not open.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::usb::usb_of;

/// The file with the rules of all usual adapters and probes, in hilrig's sources.
const SHIPPED: &str = "tools/60-hilrig.rules";
/// Opens a device to Debian's group of serial ports, and to users who are logged in at the machine.
const GIVEN: &str = r#"GROUP="dialout", MODE="0660", TAG+="uaccess""#;

/// The udev rule that opens a serial adapter.
fn tty_rule(vid: u16, pid: u16) -> String {
    format!(
        "SUBSYSTEM==\"tty\", ATTRS{{idVendor}}==\"{vid:04x}\", ATTRS{{idProduct}}==\"{pid:04x}\", {GIVEN}"
    )
}

/// The udev rule that opens a debug probe.
fn probe_rule(vid: u16, pid: u16) -> String {
    format!(
        "SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{vid:04x}\", ATTR{{idProduct}}==\"{pid:04x}\", {GIVEN}"
    )
}

fn with_rule(rule: &str) -> String {
    format!(
        "let udev give you access: put this line into /etc/udev/rules.d/60-hilrig.rules, then `sudo udevadm control --reload && sudo udevadm trigger`: {rule} ({SHIPPED} of hilrig's sources has the lines of all usual adapters and probes)"
    )
}

/// What to do about a serial port that this user may not open.
pub fn port_help(port: &Path) -> String {
    let rule = match usb_of(port) {
        Some(usb) => tty_rule(usb.vid, usb.pid),
        None => {
            let name = port.canonicalize().unwrap_or_else(|_| port.to_owned());
            let name = name.strip_prefix("/dev").unwrap_or(&name).display().to_string();
            format!("KERNEL==\"{name}\", {GIVEN}")
        }
    };
    let gid = std::fs::metadata(port).map(|meta| meta.gid()).ok();
    match gid.filter(|gid| *gid != 0).and_then(group_name) {
        // Only root is in its group.
        None => format!("Only root may open it; {}", with_rule(&rule)),
        Some(group) => format!(
            "Join the port's group, then log in again: `sudo usermod -aG {group} \"$USER\"`. Or {}",
            with_rule(&rule)
        ),
    }
}

/// What to do about a debug probe that this user may not open.
pub fn probe_help(vid: u16, pid: u16) -> String {
    format!("This user may not open it; {}", with_rule(&probe_rule(vid, pid)))
}

fn group_name(gid: u32) -> Option<String> {
    name_of_id(&std::fs::read_to_string("/etc/group").ok()?, gid)
}

/// The name that belongs to a number, in the text of /etc/group or /etc/passwd.
pub fn name_of_id(names: &str, id: u32) -> Option<String> {
    names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_port_is_named() {
        let groups = "root:x:0:\nbroken\ndialout:x:20:me\nuucp:x:14:\n";
        assert_eq!(name_of_id(groups, 14).as_deref(), Some("uucp"));
        assert_eq!(name_of_id(groups, 20).as_deref(), Some("dialout"));
        assert_eq!(name_of_id(groups, 21), None);
    }

    #[test]
    fn a_rule_is_given_for_what_is_no_usb_adapter_too() {
        let help = port_help(Path::new("/dev/null"));
        assert!(
            help.contains("Only root may open it") && help.contains("KERNEL==\"null\""),
            "{help}"
        );
    }

    #[test]
    fn the_rules_that_are_printed_are_those_that_are_shipped() {
        let shipped = include_str!("../../../../tools/60-hilrig.rules");
        let lines: Vec<&str> = shipped.lines().collect();
        for (vid, pid) in [(0x10c4, 0xea60), (0x1a86, 0x7523), (0x0403, 0x6001), (0x303a, 0x1001)] {
            assert!(lines.contains(&tty_rule(vid, pid).as_str()), "{}", tty_rule(vid, pid));
        }
        for (vid, pid) in [(0x0483, 0x374b), (0x303a, 0x1001)] {
            assert!(lines.contains(&probe_rule(vid, pid).as_str()), "{}", probe_rule(vid, pid));
        }
        // Each line is a comment or a rule that names a device and grants access to it.
        for line in lines.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.starts_with("SUBSYSTEM==\"") && line.ends_with(GIVEN), "{line}");
            assert!(line.contains("{idVendor}==\"") || line.contains("{product}==\""), "{line}");
        }
    }
}
