//! The control socket's protocol, in place of a board's reset lines, its power switch and its cables.
//!
//! `DIR/control` is a Unix stream socket. A client writes one JSON object a line and reads one line
//! for each: `{"ok":true}`, or `{"ok":false,"error":"..."}`. Any number of clients may be connected.
//! By hand: `echo '{"do":"reset"}' | socat - UNIX-CONNECT:DIR/control`.
//!
//! | `do` | What happens before the answer |
//! | --- | --- |
//! | `reset` | the reset button: firmware runs from the start, or the loader waits when the flash is blank |
//! | `loader` | reset with GPIO0 held low: the ROM's serial loader waits on the port |
//! | `power_off` | the power is cut, at any point of the firmware; the port stays |
//! | `power_on` | as `reset`, from cold: RTC memory and the random seed are new |
//! | `link_down`, `link_up` | the network cable is out or in; kept through resets and power cuts |
//! | `probe_out`, `probe_in` | the debug probe's cable is out or in |
//! | `silent` | from now on the firmware's bytes are dropped; the loader still answers |
//! | `hang` | the chip does nothing, even after a reset, until its power is cut |
//! | `garbage` | `bytes` (default 256) random bytes go on the line; `seed` decides which (default: the board's) |
//! | `flood` | `bytes` go on the line as fast as they are read; numbered lines, or with `"newline":false` one line without an end |
//! | `rates` | from now on the line has rates: what is sent at one and read at another is garbage. `firmware` is the firmware's (default 115200); above `most` baud bytes to the loader are lost |
//! | `say` | `text` goes on the line, as if the chip had sent it |
//! | `normal` | ends `silent`, `garbage`, `flood` and `rates` |
//! | `status` | nothing; the answer has a `status` |
//!
//! `garbage` and `flood` are answered when they have begun. `status` shows how much is left.

use std::net::SocketAddr;
use std::path::PathBuf;

use hilrig_core::mac::Mac;
use serde::{Deserialize, Serialize};

/// The longest line either side reads, bytes.
pub(crate) const LINE_MOST: u64 = 4096;

/// A command. The table above describes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlCommand {
    /// Resets into the firmware.
    Reset,
    /// Resets into the ROM's loader.
    Loader,
    /// Cuts the power.
    PowerOff,
    /// Restores the power.
    PowerOn,
    /// Takes the network cable out.
    LinkDown,
    /// Puts the network cable in.
    LinkUp,
    /// Pulls the debug probe's cable out.
    ProbeOut,
    /// Plugs it in.
    ProbeIn,
    /// Drops the firmware's bytes.
    Silent,
    /// Hangs the chip until its power is cut.
    Hang,
    /// Random bytes.
    Garbage {
        /// How many.
        #[serde(default = "some_garbage")]
        bytes: u64,
        /// Seed of the bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
    /// Text at full speed.
    Flood {
        /// How many bytes.
        bytes: u64,
        /// With line ends.
        #[serde(default = "yes")]
        newline: bool,
    },
    /// The line has rates.
    Rates {
        /// The firmware's, baud.
        #[serde(default = "usual_baud")]
        firmware: u32,
        /// The highest rate at which bytes get to the loader whole, baud.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<u32>,
    },
    /// Text that the chip did not send.
    Say {
        /// The text.
        text: String,
    },
    /// Ends silence, garbage, flood and rates.
    Normal,
    /// Asks for the board's state.
    Status,
}

fn some_garbage() -> u64 {
    256
}

fn usual_baud() -> u32 {
    115_200
}

fn yes() -> bool {
    true
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReply {
    /// It was done.
    pub ok: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BoardStatus>,
}

/// The state of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoardState {
    /// Without power.
    Off,
    /// The ROM's loader waits on the port.
    Loader,
    /// Firmware runs.
    Running,
    /// The chip hangs.
    Hung,
    /// QEMU ended by itself, or could not be started: a fault of the bench.
    Fault,
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardStatus {
    /// The state of the board.
    pub state: BoardState,
    /// What went wrong, for [`BoardState::Fault`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Its MAC address.
    pub mac: Mac,
    /// Its serial port, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PathBuf>,
    /// Whether its debug probe is plugged in, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<bool>,
    /// Address of its web server.
    pub http: SocketAddr,
    /// Whether the network cable is in.
    pub link: bool,
    /// Whether the firmware's bytes are dropped.
    pub silent: bool,
    /// Whether the line has rates.
    #[serde(default)]
    pub rates: bool,
    /// QEMU's process, while firmware runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu: Option<u32>,
    /// QEMU's process was stopped (by a signal or a debugger), and with it the board.
    #[serde(default)]
    pub stopped: bool,
    /// Power-ons since the board was created.
    pub power_ons: u64,
    /// Bytes of the board that no client read in time.
    pub lost_to_port: u64,
    /// A client's bytes that the firmware did not read in time.
    pub lost_to_board: u64,
    /// Bytes of `garbage` or `flood` that are not sent yet.
    pub trouble_left: u64,
}

impl ControlReply {
    pub(crate) fn done() -> ControlReply {
        ControlReply { ok: true, error: None, status: None }
    }

    pub(crate) fn refused(error: impl ToString) -> ControlReply {
        ControlReply { ok: false, error: Some(error.to_string()), status: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_as_documented_and_unknown_ones_are_refused() {
        let read = |text| serde_json::from_str::<ControlCommand>(text);
        assert_eq!(read(r#"{"do":"power_off"}"#).unwrap(), ControlCommand::PowerOff);
        assert_eq!(
            read(r#"{"do":"garbage"}"#).unwrap(),
            ControlCommand::Garbage { bytes: 256, seed: None }
        );
        assert_eq!(
            read(r#"{"do":"flood","bytes":9}"#).unwrap(),
            ControlCommand::Flood { bytes: 9, newline: true }
        );
        for wrong in
            [r#"{"do":"explode"}"#, r#"{"do":"flood"}"#, r#"{"do":"flood","bytes":-1}"#, "7", ""]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(r#"{"do":"garbage","byte":1}"#).unwrap_err().to_string().contains("byte"));
    }
}
