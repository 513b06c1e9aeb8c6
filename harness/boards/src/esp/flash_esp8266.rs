//! Getting an image onto an ESP8266: into its loader, at the highest rate that works.
//!
//! The ESP8266's loader measures the rate at its first SYNC after a reset, so another rate is had
//! by another reset into the loader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilrig_core::board::{BoardFault, Flashed};
use hilrig_core::image::{Data, Image};

use crate::esp::esp8266_loader::{Loader, Trouble};
use crate::flash_cache::{LoaderRate, OnBoard};
use crate::serial::board::SerialBoard;
use crate::serial::port;

/// The usual rates, baud. The lowest is the one that the chip's own boot text comes at.
const USUAL: [u32; 5] = [921_600, 460_800, 230_400, 115_200, 74_880];

type Progress = Arc<Mutex<Box<dyn Fn(u64, u64) + Send>>>;

impl SerialBoard {
    /// Writes the image, at the first rate from the highest down at which all of it goes well.
    pub(crate) async fn write(
        &mut self,
        image: &Image,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        let progress = Arc::new(Mutex::new(progress));
        let rates = self.rates();
        let mut failed: Vec<u32> = Vec::new();
        for (number, baud) in rates.iter().copied().enumerate() {
            // A capacitor that was not empty makes a reset miss the loader now and then. That must
            // not cost a rate for good, and at the last one there is nothing else to try.
            let attempts = if number == 0 || number + 1 == rates.len() { 2 } else { 1 };
            match self.write_at(baud, attempts, image, &progress).await {
                Ok(flashed) => {
                    let highest = self.settings.flash_baud;
                    self.record.set_loader_rate(LoaderRate { highest, works: baud });
                    return Ok(flashed);
                }
                Err(Trouble { fault, of_line: true }) if number + 1 < rates.len() => {
                    failed.push(baud);
                    let lower = rates[number + 1];
                    self.note(&format!(
                        "at {baud} baud: {}: {}; trying {lower} baud",
                        fault.tried, fault.found
                    ));
                }
                Err(Trouble { mut fault, .. }) => {
                    if !failed.is_empty() {
                        let failed: Vec<String> = failed.iter().map(u32::to_string).collect();
                        fault.found +=
                            &format!(" (at {baud} baud, and before at {})", failed.join(", "));
                    }
                    return Err(fault);
                }
            }
        }
        unreachable!("there is a rate, and the last one returns")
    }

    /// The rates to try. By hand it is one: for another one somebody would have to press the
    /// buttons again, and again.
    fn rates(&self) -> Vec<u32> {
        let highest = self.settings.flash_baud;
        let known = self.record.loader_rate().filter(|rate| rate.highest == highest);
        let first = known.map_or(highest, |rate| rate.works);
        match self.lines.by_hand() {
            Some(_) => vec![first],
            None => {
                let lower = USUAL.into_iter().filter(|baud| *baud < first);
                std::iter::once(first).chain(lower).collect()
            }
        }
    }

    async fn write_at(
        &mut self,
        baud: u32,
        attempts: u32,
        image: &Image,
        progress: &Progress,
    ) -> Result<Flashed, Trouble> {
        // A rate that the adapter does not have is as good as one that does not work.
        self.set_baud(baud).await.map_err(|fault| Trouble { fault, of_line: true })?;
        self.find_loader(attempts).await?;
        let expected = self.settings.mac;
        let mac = self.with_loader(move |loader| loader.identify(expected)).await?;
        self.identified(mac);
        // From here on the old image is no more.
        self.record.set_image(None);
        let progress = Arc::clone(progress);
        // In the order of their places: where the ROM erases a sector too many, it is one of the next
        // part, which is still to be written.
        let mut parts = vec![Data { offset: 0, bytes: image.bytes.clone() }];
        parts.extend(image.data.iter().cloned());
        let write = move |loader: &mut Loader| {
            loader.write(&parts, &*progress.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let time = self.with_loader(write).await?;
        let on_board =
            OnBoard { sha256: image.identity(), build: image.build.clone(), confirmed: false };
        self.record.set_image(Some(on_board));
        let bytes = image.length();
        Ok(Flashed { bytes, time, kept: false, verified: None, baud: Some(baud) })
    }

    /// Gets the loader to answer: the lines put the board into it, then it is called.
    async fn find_loader(&mut self, attempts: u32) -> Result<(), Trouble> {
        let deadline = self.settings.deadlines.sync;
        if let Some(by_hand) = self.lines.by_hand() {
            // Somebody may have done it before.
            let Err(trouble) = self.sync(deadline).await else { return Ok(()) };
            if !trouble.of_line {
                return Err(trouble);
            }
            let patience = self.settings.deadlines.by_hand;
            self.note(&format!(
                "waiting up to {} s for the loader: {}",
                patience.as_secs_f64(),
                by_hand.loader
            ));
            return self.sync(patience).await;
        }
        let mut attempt = 1;
        loop {
            let (port, lines) = self.opened("flashing").await?;
            let entered = lines.enter_loader(port::fd(port)).await;
            self.in_loader = true;
            entered?;
            match self.sync(deadline).await {
                Err(Trouble { fault, of_line: true }) if attempt < attempts => {
                    tracing::warn!(board = self.settings.name, %fault, "trying the loader again");
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn sync(&mut self, deadline: Duration) -> Result<(), Trouble> {
        self.with_loader(move |loader| loader.sync(deadline)).await
    }

    /// Runs `job` with the loader, on a thread that may block.
    async fn with_loader<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Loader) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let path = self.settings.port.clone();
        let deadlines = self.settings.deadlines;
        self.on_thread(move |port, stop| match Loader::new(port, path, deadlines, stop) {
            Ok(mut loader) => {
                let result = job(&mut loader);
                (loader.into_port(), result)
            }
            Err((port, fault)) => (port, Err((*fault).into())),
        })
        .await?
    }
}
