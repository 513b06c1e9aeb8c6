//! The board itself: lock, flash, console, reset, power, heap in memory.

use hilrig_core::event::What;
use hilrig_core::units::Span;

use crate::session::Session;
use crate::stop::Stop;

impl Session<'_> {
    /// Locks the board, so that no other run can use it. Does nothing if it is locked already.
    ///
    /// # Errors
    /// Another run has it for longer than the plan's `lock` deadline, or its port is not there: a rig fault.
    pub async fn lock(&self) -> Result<(), Stop> {
        let plan = self.plan();
        let mut board = self.board.lock().await;
        let lock = board.lock(&plan.reason, plan.deadlines.lock);
        Ok(self.journal.waiting(lock).await?)
    }

    /// Flashes the image under test, unless it is known to be on the board and `force` is not set. The console is
    /// closed for it. `true` if the image was on the board already.
    ///
    /// # Errors
    /// The board could not be flashed within the plan's `flash` deadline: a rig fault, or [`Stop::Silent`] where
    /// the chip does not answer.
    pub async fn flash(&self, force: bool) -> Result<bool, Stop> {
        self.console.close().await;
        let image = self.image()?;
        let events = self.shared.events.clone();
        let name = self.name().to_owned();
        let progress =
            move |written, total| events.board(&name, What::FlashProgress { written, total });
        let deadline = self.plan().deadlines.flash;
        let mut board = self.board.lock().await;
        let flash = board.flash(image, force, Box::new(progress));
        let flashed = self.journal.waiting(tokio::time::timeout(deadline, flash)).await;
        let flashed = flashed.map_err(|_| {
            Stop::Rig(format!(
                "flashing {} bytes was not done within {}",
                image.bytes.len(),
                Span(deadline)
            ))
        })??;
        self.emit(What::Flashed {
            bytes: flashed.bytes,
            seconds: flashed.time.as_secs_f64(),
            kept: flashed.kept,
            verified: flashed.verified,
            baud: flashed.baud,
        });
        Ok(flashed.kept)
    }

    /// Refuses a board whose chip has the MAC address of another board of the pool: the two would get each
    /// other's messages. The chip reports it when it is flashed.
    ///
    /// # Errors
    /// Another board has it: a rig fault.
    pub(crate) async fn refuse_known_mac(&self) -> Result<(), Stop> {
        let Some(mac) = self.board.lock().await.facts().mac else { return Ok(()) };
        let mut macs = self.shared.macs.borrow_mut();
        match macs.get(&mac) {
            Some(other) if other != self.name() => Err(Stop::Rig(format!(
                "its chip has the MAC address {mac}, and so has that of the board `{other}` of this run. Run them one after the other"
            ))),
            _ => {
                macs.insert(mac, self.name().to_owned());
                Ok(())
            }
        }
    }

    /// Opens the console: what the board prints goes to the record and to the boot log from now on.
    ///
    /// # Errors
    /// The port cannot be opened: a rig fault.
    pub async fn open_console(&self) -> Result<(), Stop> {
        self.console.close().await;
        self.log.console_opened();
        let console = self.board.lock().await.console().await?;
        self.console.open(console);
        Ok(())
    }

    /// Resets the board, as its reset button does.
    ///
    /// # Errors
    /// The reset lines do not work: a rig fault.
    pub async fn reset(&self) -> Result<(), Stop> {
        self.reset_is_asked();
        let mut board = self.board.lock().await;
        Ok(self.journal.waiting(board.reset()).await?)
    }

    /// The rig is about to start the chip, so that this start is not taken for a restart of the firmware.
    pub(crate) fn reset_is_asked(&self) {
        let build = self.image().ok().and_then(|image| image.build.as_deref());
        if !self.log.reset_asked(build) {
            self.journal.forget_crashes();
        }
    }

    /// Switches the board off and on. The console is closed for it.
    ///
    /// # Errors
    /// The board has no power line, or the line does not work: a rig fault.
    pub async fn power_cycle(&self) -> Result<(), Stop> {
        self.console.close().await;
        if self.log.has_begun() {
            self.reset_is_asked();
        }
        self.journal.forget_restarts();
        let mut board = self.board.lock().await;
        Ok(self.journal.waiting(board.power_cycle()).await?)
    }

    /// Notes the heap's figures from the board's memory, where a debug probe can read them.
    ///
    /// # Errors
    /// The probe does not answer: a rig fault.
    pub async fn read_heap(&self) -> Result<(), Stop> {
        let Some(symbol) = &self.contract().heap.symbol else { return Ok(()) };
        let image = self.image()?;
        if let Some(read) = self.board.lock().await.read_heap(image, symbol).await? {
            self.journal.heap_read(read);
        }
        Ok(())
    }
}
