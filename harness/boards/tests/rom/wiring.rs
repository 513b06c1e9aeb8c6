//! The usual wiring of ESP boards: two transistors between an adapter's lines and the chip's pins.

use std::sync::Mutex;

/// DTR, RTS and their effect on the chip, whose firmware runs at first.
#[derive(Default)]
pub struct Wiring(Mutex<Pins>);

#[derive(Default)]
struct Pins {
    in_reset: bool,
    in_loader: bool,
    /// Into the loader, in order; false is into the firmware.
    starts: Vec<bool>,
}

impl Wiring {
    /// Sets both lines; true is asserted. Each pin is low where its own line is asserted and the other
    /// is not. The chip starts when EN rises, by the level of GPIO0 then.
    pub fn set(&self, dtr: bool, rts: bool) {
        let mut pins = self.0.lock().unwrap();
        let (en, gpio0) = (!rts || dtr, !dtr || rts);
        if en && pins.in_reset {
            pins.in_loader = !gpio0;
            pins.starts.push(!gpio0);
        }
        pins.in_reset = !en;
    }

    /// Whether the ROM's loader answers.
    pub fn in_loader(&self) -> bool {
        self.0.lock().unwrap().in_loader
    }

    /// The starts so far: true is into the loader.
    pub fn starts(&self) -> Vec<bool> {
        self.0.lock().unwrap().starts.clone()
    }
}
