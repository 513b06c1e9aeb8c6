//! Flashing an ESP8266: into its loader, at the highest rate that works.
//!
//! The ESP8266's loader measures the rate at its first SYNC after a reset, so another rate needs another
//! reset into the loader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hilrig_core::board::{BoardFault, Flashed};
use hilrig_core::image::{Data, Image};

use crate::esp::esp8266_loader::{Esp8266Loader, LoaderTrouble};
use crate::flash_cache::{FlashedImage, LoaderRate};
use crate::serial::board::SerialBoard;
use crate::serial::port;

/// The usual rates, baud. The lowest is that of the chip's boot text.
const USUAL: [u32; 5] = [921_600, 460_800, 230_400, 115_200, 74_880];

type Progress = Arc<Mutex<Box<dyn Fn(u64, u64) + Send>>>;

impl SerialBoard {
    /// Writes the image, at the highest rate at which all of it works.
    pub(crate) async fn write_esp8266(
        &mut self,
        image: &Image,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        let progress = Arc::new(Mutex::new(progress));
        let rates = self.rates();
        let mut failed: Vec<u32> = Vec::new();
        for (number, baud) in rates.iter().copied().enumerate() {
            // A reset misses the loader now and then, where a capacitor was not discharged. That must
            // not rule out the first rate, and at the last one nothing else is left to try.
            let attempts = if number == 0 || number + 1 == rates.len() { 2 } else { 1 };
            match self.write_at(baud, attempts, image, &progress).await {
                Ok(flashed) => {
                    let highest = self.settings.flash_baud;
                    self.cache.set_loader_rate(LoaderRate { highest, works: baud });
                    return Ok(flashed);
                }
                Err(LoaderTrouble { fault, of_line: true }) if number + 1 < rates.len() => {
                    failed.push(baud);
                    let lower = rates[number + 1];
                    self.note(&format!(
                        "at {baud} baud: {}: {}; trying {lower} baud",
                        fault.tried, fault.found
                    ));
                }
                Err(LoaderTrouble { mut fault, .. }) => {
                    if !failed.is_empty() {
                        let failed: Vec<String> = failed.iter().map(u32::to_string).collect();
                        fault.found +=
                            &format!(" (at {baud} baud, and before that at {})", failed.join(", "));
                    }
                    return Err(fault);
                }
            }
        }
        unreachable!("there is a rate, and the last one returns")
    }

    /// The rates to try. By hand it is one: each further one would need the buttons again.
    fn rates(&self) -> Vec<u32> {
        let highest = self.settings.flash_baud;
        let known = self.cache.loader_rate().filter(|rate| rate.highest == highest);
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
    ) -> Result<Flashed, LoaderTrouble> {
        // A rate that the adapter does not have is a rate that does not work.
        self.set_baud(baud).await.map_err(|fault| LoaderTrouble { fault, of_line: true })?;
        self.find_loader(attempts).await?;
        let expected = self.settings.mac;
        let mac = self.with_loader(move |loader| loader.identify(expected)).await?;
        self.identified(mac);
        // From here on the old image is gone.
        self.cache.set_image(None);
        let progress = Arc::clone(progress);
        // In the order of their offsets: where the ROM erases a sector too many, it is one of the next part,
        // which is not written yet.
        let mut parts = vec![Data { offset: 0, bytes: image.bytes.clone() }];
        parts.extend(image.data.iter().cloned());
        let write = move |loader: &mut Esp8266Loader<'_>| {
            loader.write(&parts, &*progress.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let time = self.with_loader(write).await?;
        let on_board =
            FlashedImage { sha256: image.identity(), build: image.build.clone(), confirmed: false };
        self.cache.set_image(Some(on_board));
        let bytes = image.length();
        Ok(Flashed { bytes, time, kept: false, verified: None, baud: Some(baud) })
    }

    /// Gets the loader to answer: the lines reset the board into it, then SYNC calls it.
    async fn find_loader(&mut self, attempts: u32) -> Result<(), LoaderTrouble> {
        let deadline = self.settings.deadlines.sync;
        if let Some(by_hand) = self.lines.by_hand() {
            // It may be in its loader already.
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
                Err(LoaderTrouble { fault, of_line: true }) if attempt < attempts => {
                    tracing::warn!(board = self.settings.name, %fault, "trying the loader again");
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn sync(&mut self, deadline: Duration) -> Result<(), LoaderTrouble> {
        self.with_loader(move |loader| loader.sync(deadline)).await
    }

    /// Runs `job` with the loader, on a thread that may block.
    async fn with_loader<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Esp8266Loader<'_>) -> Result<T, LoaderTrouble> + Send + 'static,
    ) -> Result<T, LoaderTrouble> {
        let path = self.settings.port.clone();
        let deadlines = self.settings.deadlines;
        self.on_thread(move |mut port, stop| {
            let result = job(&mut Esp8266Loader::new(&mut port, &path, deadlines, &stop));
            (port, result)
        })
        .await?
    }
}
