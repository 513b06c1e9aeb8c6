//! Reads the board's console, and notes what the boot log and the replies report.

use hilrig_core::board::ConsoleSink;
use hilrig_core::event::What;
use hilrig_core::text;

use crate::heap_figures;
use crate::log::Feed;
use crate::session::Session;
use crate::stop::Stop;
use crate::watch::{Hit, Says};

impl Session<'_> {
    /// Reads the console, whenever a job opens it, into `record` and the boot log. Returns when the port is gone,
    /// because the job has lost its board.
    pub(crate) async fn read_console(&self, record: &mut dyn ConsoleSink) -> Stop {
        let plan = self.plan();
        let allowed = |phase| plan.contract.restarts.get(&phase).copied().unwrap_or_default();
        let mut on_hit = |hit: &Hit| self.hit(hit);
        let mut on_restart = |restart| self.journal.restart(restart, allowed);
        let mut feed =
            Feed { log: &self.log, record, on_hit: &mut on_hit, on_restart: &mut on_restart };
        loop {
            let mut console = self.console.opened().await;
            tokio::select! {
                fault = console.read_into(&mut feed) => return Stop::Rig(fault.to_string()),
                () = self.console.closing() => {}
            }
            drop(console);
            self.console.closed();
        }
    }

    fn hit(&self, hit: &Hit) {
        match hit.says {
            Says::Connected => self.connects(),
            Says::AttemptFailed => self.journal.attempt_failed(),
            Says::AsksTime => self.journal.asks_time(hit.line),
            Says::Offline => self.journal.offline(hit.line, &hit.text),
            _ => {}
        }
        match hit.says {
            Says::Heap => match heap_figures::of_line(hit) {
                Some(sample) => self.journal.heap(sample),
                None => self.note(format!("heap figures that cannot be read: `{}`", hit.text)),
            },
            Says::Callers => match heap_figures::callers_of_line(hit, self.contract()) {
                Some(callers) => self.journal.callers(callers),
                None => self.note(format!("heap callers that cannot be read: `{}`", hit.text)),
            },
            // A line of both modes' logs is reported once, and so is one with the reason why a broker was refused.
            Says::Mqtt(_) if self.is_of_both_modes(hit) => {}
            Says::TlsError if self.contract().connection.refused.is_match(&hit.text) => {}
            _ => self.emit(What::LogLine { line: hit.line, text: hit.text.clone() }),
        }
    }

    fn is_of_both_modes(&self, hit: &Hit) -> bool {
        self.contract().configuration.iter().any(|line| line.is_match(&hit.text))
    }

    /// Reports a reply.
    pub(crate) fn emit_reply(&self, over: &str, request: &str, reply: &[u8], seconds: f64) {
        let reply = text::printable(reply);
        self.emit(What::Reply { over: over.into(), request: request.into(), reply, seconds });
    }

    /// Notes the heap figures of a reply, if by the contract the reply to `request` has them. Returns the free heap
    /// at that time, bytes, if the reply has it.
    ///
    /// # Errors
    /// The reply does not have the figures: what is wrong with it.
    pub fn note_heap(&self, request: &str, reply: &[u8]) -> Result<Option<u64>, String> {
        let Some(fields) = &self.contract().heap.reply else { return Ok(None) };
        if fields.request != request {
            return Ok(None);
        }
        let samples = heap_figures::of_reply(fields, reply);
        let samples = samples.map_err(|why| format!("{request}: {why}"))?;
        let free = samples.last().and_then(|sample| sample.free);
        samples.into_iter().for_each(|sample| self.journal.heap(sample));
        Ok(free)
    }
}
