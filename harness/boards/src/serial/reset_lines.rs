//! Reset lines of boards on a serial adapter.

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, ByHand, ResetLines};

/// One state of the two modem-control lines and its duration. `true` is asserted, which is the low
/// level on the adapter's pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    dtr: bool,
    rts: bool,
    time: Duration,
}

const fn step(dtr: bool, rts: bool, millis: u64) -> Step {
    Step { dtr, rts, time: Duration::from_millis(millis) }
}

/// Enters the loader by what esptool calls the tight classic reset: both lines change in one call,
/// because one change after the other passes through "both asserted", which releases EN too early.
/// In 100 ms EN's capacitor discharges; in 50 ms the ROM reads GPIO0.
const ENTER_LOADER: [Step; 5] = [
    step(false, false, 0),
    step(true, true, 0),
    step(false, true, 100),
    step(true, false, 50),
    step(false, false, 0),
];

/// A pulse on EN with GPIO0 high, as the reset button makes.
const RESET: [Step; 3] = [step(false, false, 0), step(false, true, 100), step(false, false, 0)];

/// The USB device inside chips of the ESP32 family (USB Serial/JTAG). It has no pins: the two lines are
/// commands (ESP32-C3 Technical Reference Manual, "USB Serial/JTAG Controller", reset table). RTS alone
/// resets the chip, DTR alone selects the loader for that reset, none cancels that, both do nothing.
const USB_JTAG: (u16, u16) = (0x303A, 0x1001);

/// From "loader" to "reset" through "both", as "none" would cancel the selection. The times are
/// esptool's.
const USB_JTAG_ENTER_LOADER: [Step; 5] = [
    step(false, false, 100),
    step(true, false, 100),
    step(true, true, 0),
    step(false, true, 100),
    step(false, false, 0),
];

/// The same without the selection.
const USB_JTAG_RESET: [Step; 3] =
    [step(false, false, 100), step(false, true, 100), step(false, false, 0)];

/// Sets DTR and RTS of an open port, both at once; true is asserted.
type SetLines = dyn Fn(BorrowedFd<'_>, bool, bool) -> rustix::io::Result<()>;

/// DTR and RTS in the usual wiring of ESP boards: two transistors, DTR to GPIO0 and RTS to EN.
///
/// Opening a port asserts both, which in this wiring pulls neither pin.
#[derive(Clone)]
pub struct ModemLines {
    inverted: bool,
    set: Rc<SetLines>,
}

impl Default for ModemLines {
    fn default() -> ModemLines {
        ModemLines { inverted: false, set: Rc::new(set) }
    }
}

impl ModemLines {
    /// With both levels inverted on their way: by the adapter, or by a buffer after it.
    pub fn inverted() -> ModemLines {
        ModemLines { inverted: true, ..ModemLines::default() }
    }

    /// The same on a port that has no modem-control lines, such as a pty: `set` gets DTR and RTS, true
    /// is asserted.
    #[must_use]
    pub fn set_by(
        self,
        set: impl Fn(BorrowedFd<'_>, bool, bool) -> rustix::io::Result<()> + 'static,
    ) -> ModemLines {
        ModemLines { set: Rc::new(set), ..self }
    }

    /// DTR and RTS as the port has to set them.
    fn levels(&self, step: Step) -> (bool, bool) {
        (step.dtr != self.inverted, step.rts != self.inverted)
    }

    async fn play(&self, port: BorrowedFd<'_>, steps: &[Step]) -> Result<(), BoardFault> {
        for step in steps {
            let (dtr, rts) = self.levels(*step);
            (self.set)(port, dtr, rts).map_err(|error| {
                BoardFault::new("setting DTR and RTS", error).help(
                    "The port has no modem-control lines: set `lines = \"none\"` for a board without \
                     reset wiring.",
                )
            })?;
            // The duration of a pulse, not a wait for an event.
            if !step.time.is_zero() {
                tokio::time::sleep(step.time).await;
            }
        }
        Ok(())
    }
}

/// Sets both lines at once and leaves the port's others as they are.
fn set(port: BorrowedFd<'_>, dtr: bool, rts: bool) -> rustix::io::Result<()> {
    use rustix::ioctl::{Getter, Setter, ioctl};
    // From Linux' asm-generic/termios.h and ioctls.h.
    const TIOCMGET: rustix::ioctl::Opcode = 0x5415;
    const TIOCMSET: rustix::ioctl::Opcode = 0x5418;
    const DTR: i32 = 0x002;
    const RTS: i32 = 0x004;
    // SAFETY: TIOCMGET writes one int, TIOCMSET reads one, through the pointer that is given.
    unsafe {
        let mut lines: i32 = ioctl(port, Getter::<TIOCMGET, i32>::new())?;
        lines &= !(DTR | RTS);
        lines |= if dtr { DTR } else { 0 } | if rts { RTS } else { 0 };
        ioctl(port, Setter::<TIOCMSET, i32>::new(lines))
    }
}

#[async_trait(?Send)]
impl ResetLines for ModemLines {
    fn words(&self) -> String {
        if self.inverted { "DTR/RTS, inverted" } else { "DTR/RTS" }.into()
    }

    async fn enter_loader(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault> {
        match crate::serial::port::usb_id(port) {
            Some(USB_JTAG) => self.play(port, &USB_JTAG_ENTER_LOADER).await,
            _ => self.play(port, &ENTER_LOADER).await,
        }
    }

    async fn reset(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault> {
        match crate::serial::port::usb_id(port) {
            Some(USB_JTAG) => self.play(port, &USB_JTAG_RESET).await,
            _ => self.play(port, &RESET).await,
        }
    }
}

/// A board without reset wiring: a person has to press its buttons.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLines;

#[async_trait(?Send)]
impl ResetLines for NoLines {
    fn words(&self) -> String {
        "no reset lines".into()
    }

    fn by_hand(&self) -> Option<ByHand> {
        Some(ByHand {
            loader: "hold its FLASH button (GPIO0), press RST, release RST, then FLASH",
            reset: "press its RST button",
        })
    }

    async fn enter_loader(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        Ok(())
    }

    async fn reset(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two transistors: each pin is pulled low when its own line is asserted and the other is
    /// not. Returns (EN, GPIO0).
    fn pins(step: Step) -> (bool, bool) {
        (!step.rts || step.dtr, !step.dtr || step.rts)
    }

    /// GPIO0's level at each rising edge of EN.
    fn boots(steps: &[Step]) -> Vec<bool> {
        let levels: Vec<(bool, bool)> = steps.iter().map(|step| pins(*step)).collect();
        levels.windows(2).filter(|w| !w[0].0 && w[1].0).map(|w| w[1].1).collect()
    }

    #[test]
    fn the_loader_is_entered_with_gpio0_low_and_the_lines_are_left_free() {
        assert_eq!(boots(&ENTER_LOADER), [false]);
        assert_eq!(pins(ENTER_LOADER[ENTER_LOADER.len() - 1]), (true, true));
    }

    #[test]
    fn inverted_lines_reach_the_board_as_straight_ones_do() {
        let inverted = ModemLines::inverted();
        for step in ENTER_LOADER.into_iter().chain(RESET) {
            // After the inverter between port and board.
            let (dtr, rts) = inverted.levels(step);
            assert_eq!((!dtr, !rts), ModemLines::default().levels(step));
        }
    }

    #[test]
    fn a_reset_boots_from_flash() {
        assert_eq!(boots(&RESET), [true]);
        assert_eq!(pins(RESET[RESET.len() - 1]), (true, true));
    }

    /// Whether each reset of the chip's own USB device goes into the loader.
    fn usb_jtag_boots(steps: &[Step]) -> Vec<bool> {
        let mut loader = true;
        let mut boots = Vec::new();
        for step in steps {
            match (step.dtr, step.rts) {
                (false, false) => loader = false,
                (true, false) => loader = true,
                (false, true) => boots.push(loader),
                (true, true) => {}
            }
        }
        boots
    }

    #[test]
    fn a_chip_with_a_usb_port_of_its_own_is_reset_by_its_commands() {
        assert_eq!(usb_jtag_boots(&USB_JTAG_ENTER_LOADER), [true]);
        assert_eq!(usb_jtag_boots(&USB_JTAG_RESET), [false]);
        for last in [USB_JTAG_ENTER_LOADER.last(), USB_JTAG_RESET.last()] {
            assert_eq!(last, Some(&step(false, false, 0)));
        }
    }
}
