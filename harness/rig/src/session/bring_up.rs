//! How every job begins: lock, flash, reset, and the boot log up to configuration mode.

use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;

use crate::check_spec::CheckSpec;
use crate::session::Session;
use crate::session::boot_log::{Booted, Mode};
use crate::stop::Stop;

/// The check of the boot.
pub const BOOTED: CheckSpec = CheckSpec::new(
    "boot_log.configuration",
    "the boot log's lines of configuration mode, in order",
);

impl Session<'_> {
    /// Locks the board, flashes the image under test and boots it into configuration mode: the phases `lock`,
    /// `flash` and `boot`, and the check [`BOOTED`]. A board that was not flashed and does not come up is flashed
    /// and booted again, because what ran may not be the image under test.
    ///
    /// # Errors
    /// Whatever one of the phases stops with.
    pub async fn bring_up(&self) -> Result<Booted, Stop> {
        let force = self.plan().force_flash;
        self.phase(Phase::Lock, self.lock()).await?;
        let kept = self.phase(Phase::Flash, self.flash(force)).await?;
        self.refuse_known_mac().await?;
        match self.phase(Phase::Boot, self.boot()).await {
            Err(stop @ (Stop::Failed(_) | Stop::Crashed(_)))
                if kept && !self.journal.has_check(&BOOTED.id) =>
            {
                self.settle_after_failure().await;
                self.journal.end_phase(Some(&stop));
                self.note(format!(
                    "flashed again, because the board was not found as the last run left it: {}",
                    stop.why()
                ));
                self.journal.forget_restarts();
                self.phase(Phase::Flash, self.flash(true)).await?;
                self.phase(Phase::Boot, self.boot()).await
            }
            done => done,
        }
    }

    /// Resets the board and waits until configuration mode is up.
    async fn boot(&self) -> Result<Booted, Stop> {
        self.step(&BOOTED);
        self.journal.doing("waited for the boot log of configuration mode");
        self.open_console().await?;
        let mark = self.log.mark();
        self.reset().await?;
        let booted = match self.wait_for_mode(mark, Mode::Configuration).await {
            Err(Stop::Failed(why)) if !self.kind().has_probe() && self.log.silent_since(mark) => {
                return Err(Stop::Silent(format!(
                    "{why}, and neither did its ROM. Look at its power, its serial lines and its reset wiring"
                )));
            }
            other => other?,
        };
        let image = self.image()?;
        let build = booted.build.as_deref();
        let mut board = self.board.lock().await;
        board.confirm_build(image, build);
        let reach = board.reach();
        drop(board);
        if let (Some(wanted), Some(_)) = (&image.build, &self.contract().build)
            && build != Some(wanted)
        {
            let reported = build.unwrap_or("none");
            return Err(Stop::Failed(format!(
                "the board runs build {reported}, and {wanted} was to be flashed"
            )));
        }
        self.passed(&BOOTED, counted(self.contract().configuration.len(), "line"), booted.line);
        self.web_server.set(Some(match reach.http {
            Some(address) => address,
            None => booted.web_server_by_log().map_err(Stop::Failed)?,
        }));
        Ok(booted)
    }
}
