//! Starts of the chip: which of them the rig requested.
//!
//! The rig requests a start when it resets the board, when it requests the other mode, and when it limits the
//! attempts to connect (the firmware logs that it gives up, and restarts). Any other start is a restart by the board
//! itself or by a person, and fails the board. A start after a crash belongs to the crash.
//!
//! Only the order of the boot log's lines counts, never the time: a line may be read late.

use hilrig_decode::{Finding, Kind};

use crate::watch::Says;

/// A start that the rig did not request, as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Line of the boot log, counted from 1.
    pub line: u64,
    /// The ROM's text on it; `None` if only the firmware's own lines show the start.
    pub rom: Option<String>,
    /// It came between a reset by the rig and the mode that the reset leads to.
    pub in_boot: bool,
}

/// Requested starts, until a mode is up.
#[derive(Debug)]
struct AskedStart {
    left: u32,
    by_reset: bool,
    /// A start came.
    started: bool,
    /// The firmware logged a line since.
    spoke: bool,
}

/// The state of one board's starts.
#[derive(Debug)]
pub struct Starts {
    /// The chip has a ROM that prints.
    has_rom: bool,
    /// Number of lines in the boot logs of both modes.
    lines: [usize; 2],
    /// The next line in each mode.
    next: [usize; 2],
    /// The rig started the running firmware. Before that, no start is judged.
    armed: bool,
    asked: Option<AskedStart>,
    /// The firmware logged that it gives up and restarts.
    announced: bool,
    /// Starts that are left after the rig made the firmware give up once, whether it logs that or not; `None` if it
    /// need not give up.
    give_up: Option<u32>,
    /// The firmware will give up once MQTT mode is up.
    to_give_up: bool,
    /// The firmware crashed, and no start was seen since.
    crashed: bool,
    /// The ROM's text was read at least once, so each start has one.
    rom_read: bool,
    /// A start was seen, and no mode is up since.
    booting: bool,
}

impl Starts {
    /// `lines`: number of lines in the boot logs of configuration mode and MQTT mode.
    pub fn new(has_rom: bool, lines: [usize; 2]) -> Starts {
        Starts {
            has_rom,
            lines,
            next: [0; 2],
            armed: false,
            asked: None,
            announced: false,
            give_up: None,
            to_give_up: false,
            crashed: false,
            rom_read: false,
            booting: false,
        }
    }

    /// The console is opened: the port's buffer has older lines.
    pub fn console_opened(&mut self) {
        self.armed = false;
    }

    /// The rig is about to reset the board.
    pub fn reset_asked(&mut self) {
        self.armed = true;
        (self.announced, self.crashed, self.booting) = (false, false, false);
        (self.give_up, self.to_give_up) = (None, false);
        self.next = [0; 2];
        self.asked = Some(AskedStart { left: 1, by_reset: true, started: false, spoke: false });
    }

    /// The rig sends a request after which the firmware restarts once.
    pub fn switch_asked(&mut self) {
        self.asked = Some(AskedStart { left: 1, by_reset: false, started: false, spoke: false });
    }

    /// The rig makes the firmware give up connecting, once: it restarts into configuration mode.
    pub fn gives_up(&mut self) {
        self.to_give_up = true;
    }

    /// A finding of the decoder: a start or a crash.
    pub fn found(&mut self, finding: &Finding) -> Option<Restart> {
        match (finding.kind, &finding.start) {
            // A reset with GPIO0 low raises its own alarm and is a fault of the bench.
            _ if finding.is_in_loader() => {
                self.crash_start();
                None
            }
            (Kind::Start, Some(rom)) => self.rom_says(finding.line, rom.to_string()),
            // A watchdog's start is a crash of its own.
            (Kind::HardwareWatchdog, _) => {
                self.crash_start();
                None
            }
            (Kind::Brownout, Some(_)) if finding.evidence.is_empty() => {
                self.crash_start();
                None
            }
            // Findings about several crashes or starts.
            (Kind::BootLoop | Kind::Brownout, _) => None,
            _ => {
                self.crashed();
                None
            }
        }
    }

    /// The log has a crash.
    pub fn crashed(&mut self) {
        self.crashed = true;
    }

    /// The chip started, by its ROM's text.
    pub fn rom_says(&mut self, line: u64, words: String) -> Option<Restart> {
        let first = !std::mem::replace(&mut self.rom_read, true);
        self.booting = true;
        self.next = [0; 2];
        let restart = self.started(line, Some(words));
        // Lines before it, without a ROM's text, are from before the reset.
        restart.filter(|_| !first)
    }

    /// The chip started, and another finding is judged for it.
    pub fn crash_start(&mut self) {
        self.rom_read = true;
        self.booting = true;
        self.next = [0; 2];
        self.crashed = false;
    }

    /// A line of the firmware.
    pub fn says(&mut self, says: Says, line: impl FnOnce() -> u64) -> Option<Restart> {
        let up = match says {
            Says::Build => false,
            Says::Configuration(n) => self.in_order(0, n),
            Says::Mqtt(n) => self.in_order(1, n),
            Says::GivenUp => {
                self.announced = true;
                return None;
            }
            _ => return None,
        };
        // Without a ROM's text, the first line or the last shows the start.
        let shows = up || (says == Says::Build && !self.has_rom);
        let restart = match shows && !self.booting && !self.rom_read {
            true => {
                self.booting = true;
                self.started(line(), None)
            }
            false => None,
        };
        if let Some(asked) = &mut self.asked {
            asked.spoke = true;
        }
        if up {
            self.booting = false;
            match says {
                Says::Mqtt(_) if self.to_give_up => {
                    self.to_give_up = false;
                    self.give_up = Some(1);
                }
                Says::Configuration(_) => self.give_up = None,
                _ => {}
            }
            // Without a start since the reset, the line is from before it.
            self.asked.take_if(|asked| asked.started || !asked.by_reset);
        }
        restart
    }

    /// Whether all lines of a mode came in order, with this one as the last.
    fn in_order(&mut self, mode: usize, n: usize) -> bool {
        let next = &mut self.next[mode];
        *next = match n {
            0 => 1,
            n if n == *next => n + 1,
            _ => *next,
        };
        let up = n + 1 == self.lines[mode] && *next == self.lines[mode];
        if up {
            self.next = [0; 2];
        }
        up
    }

    fn started(&mut self, line: u64, rom: Option<String>) -> Option<Restart> {
        if !self.armed {
            return None;
        }
        let announced = std::mem::take(&mut self.announced);
        let crashed = std::mem::take(&mut self.crashed);
        let asked = match &mut self.asked {
            // A start that was in transit at the reset comes before the firmware's next line.
            Some(asked) if asked.by_reset => !(asked.started && asked.spoke),
            Some(asked) => asked.left > 0,
            None => false,
        };
        let in_boot = self.asked.as_ref().is_some_and(|asked| asked.by_reset);
        if crashed {
            return None;
        }
        let asked = match (&mut self.asked, &mut self.give_up) {
            (Some(window), _) => {
                window.left = window.left.saturating_sub(1);
                (window.started, window.spoke) = (true, false);
                asked
            }
            (None, Some(left)) => std::mem::replace(left, 0) > 0,
            (None, None) => announced,
        };
        (!asked).then_some(Restart { line, rom, in_boot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(has_rom: bool) -> Starts {
        Starts::new(has_rom, [3, 3])
    }

    /// `R` the ROM, `B` the build, `c` and `m` the lines of the modes, `g` given up, `x` a crash; `!` the rig resets,
    /// `?` it requests the other mode, `1` it makes the board give up. Returns the positions of the restarts.
    fn told(mut starts: Starts, log: &str) -> Vec<u64> {
        let mut found = Vec::new();
        for (line, what) in (0..).zip(log.chars()) {
            let mut lines = |says: fn(usize) -> Says| {
                let all: Vec<_> = (0..3).map(|n| starts.says(says(n), || line)).collect();
                all.into_iter().flatten().next()
            };
            let restart = match what {
                '!' => {
                    starts.reset_asked();
                    None
                }
                '?' => {
                    starts.switch_asked();
                    None
                }
                '1' => {
                    starts.gives_up();
                    None
                }
                'x' => {
                    starts.crashed();
                    None
                }
                'R' => starts.rom_says(line, "reset cause 2".into()),
                'B' => starts.says(Says::Build, || line),
                'g' => starts.says(Says::GivenUp, || line),
                'c' => lines(Says::Configuration),
                'm' => lines(Says::Mqtt),
                other => panic!("{other}"),
            };
            found.extend(restart.map(|restart| restart.line));
        }
        found
    }

    #[test]
    fn a_start_that_the_rig_did_not_ask_for_is_found_wherever_it_comes() {
        for (log, at) in [
            // A whole path with the refusal, and the switch back.
            ("!RBc?RBmgRBc?RBm?RBc", vec![]),
            // The rig makes the firmware give up once, whether it logs that or not.
            ("!RBc1?RBmRBc", vec![]),
            ("!RBc1?RBmgRBc?RBm", vec![]),
            ("!RBc1RBc?RBm", vec![5]),
            ("!RBc1?RBmRBmgRBc", vec![13]),
            // In configuration mode; on the way to MQTT mode; in MQTT mode; after the switch back.
            ("!RBcRBc", vec![4]),
            ("!RBc?RRBm", vec![6]),
            ("!RBc?RBRBm", vec![7]),
            ("!RBc?RBmRBm", vec![8]),
            ("!RBc?RBm?RBcR", vec![12]),
            // During the boot, after the firmware has logged a line.
            ("!RBRBc", vec![3]),
            // The switch needs no restart: a later one was not requested.
            ("!RBc?mRBm", vec![6]),
            // One "given up" line allows one start.
            ("!RBc?RBmgRRBc", vec![10]),
        ] {
            assert_eq!(told(starts(true), log), at, "{log}");
        }
    }

    #[test]
    fn what_was_on_its_way_before_a_reset_and_what_a_crash_does_is_no_restart() {
        for log in ["RBcRBm!RBc", "!cRBc", "!RRBc", "R!R", "!RBcxRBc", "!RBc!RBc", "!RBc?RBmx"] {
            assert_eq!(told(starts(true), log), [0; 0], "{log}");
        }
    }

    #[test]
    fn without_a_rom_the_firmwares_own_lines_show_a_start() {
        for (log, at) in [
            ("!Bc?Bmg", vec![]),
            ("!Bc?Bm?Bc", vec![]),
            ("!Bc?BmBm", vec![6]),
            ("!BcB", vec![3]),
            ("!Bc?BmgBc", vec![]),
        ] {
            assert_eq!(told(starts(false), log), at, "{log}");
        }
        // A ROM that is read at a wrong rate.
        for (log, at) in [("!c?m", vec![]), ("!c?mm", vec![4]), ("!Bc?BmB", vec![])] {
            assert_eq!(told(starts(true), log), at, "{log}");
        }
    }
}
