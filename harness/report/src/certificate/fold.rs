//! The certification of a broker, folded from its events.

use hilrig_core::certify::certificate::CERTIFICATE_SCHEMA;
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{CaseResult, Certificate, CertifyEnded, CertifyStarted, Tally};
use hilrig_core::event::{RunStarted, What};

use super::policy;
use super::profile::profile;

/// The certification of one broker, at any point of the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certification {
    /// The broker as it was asked for.
    pub broker: String,
    /// How many cases there are in all.
    pub expected: u32,
    /// The cases that are being run.
    pub running: Vec<String>,
    /// The cases that are over, in the matrix's order, each once.
    pub cases: Vec<CaseResult>,
    /// How often each case is run.
    pub repeat: u32,
    /// What is required beside what the matrix expects.
    pub require: Vec<String>,
    /// Every result, where cases are repeated.
    repetitions: Vec<CaseResult>,
    /// The event at its end.
    pub ended: Option<CertifyEnded>,
}

impl Certification {
    /// How many came out how, so far.
    pub fn tally(&self) -> Tally {
        Tally::of(&self.cases)
    }

    /// The certificate, after the last event; its digest is filled in later.
    pub(crate) fn certificate(&self, run: &RunStarted) -> Option<Certificate> {
        let ended = self.ended.as_ref()?;
        let profile = profile(&self.cases, &ended.facts);
        let policy = policy::judge(&self.require, &self.cases, profile.as_ref());
        Some(Certificate {
            schema: CERTIFICATE_SCHEMA,
            hilrig: run.hilrig.clone(),
            run: run.run.clone(),
            started: run.started.clone(),
            seed: run.seed,
            name: self.broker.clone(),
            broker: ended.facts.clone(),
            tls_library: ended.tls_library.clone(),
            device: ended.device.clone(),
            cases: self.cases.clone(),
            profile,
            tally: self.tally(),
            repeat: self.repeat.max(1),
            policy,
            digest: String::new(),
        })
    }

    /// Takes an event; `false` if it is about something else.
    pub(crate) fn take(all: &mut Vec<Certification>, what: &What) -> bool {
        match what {
            What::CertifyStarted(CertifyStarted { broker, cases, repeat, require }) => {
                let certification = of(all, broker);
                certification.expected = *cases;
                certification.repeat = *repeat;
                certification.require = require.clone();
            }
            What::CaseStarted { broker, id } => {
                let running = &mut of(all, broker).running;
                if !running.contains(id) {
                    running.push(id.clone());
                }
            }
            What::CaseEnded(ended) => of(all, &ended.broker).add(&ended.result),
            What::CertifyEnded(ended) => {
                let certification = of(all, &ended.broker);
                certification.running.clear();
                certification.ended = Some((**ended).clone());
            }
            _ => return false,
        }
        true
    }

    fn add(&mut self, result: &CaseResult) {
        self.running.retain(|id| *id != result.id);
        let repeated = self.repeat > 1;
        let merged = repeated.then(|| self.repeated(result)).flatten();
        let result = merged.as_ref().unwrap_or(result);
        if let Some(known) = self.cases.iter_mut().find(|case| case.id == result.id) {
            *known = result.clone();
            return;
        }
        // Several boards do cases at once, and the report has them in the matrix's order all the same.
        let place = place(&result.id);
        let at = self.cases.partition_point(|case| self::place(&case.id) <= place);
        self.cases.insert(at, result.clone());
    }
}

impl Certification {
    /// The repetitions of this case so far as one result.
    fn repeated(&mut self, result: &CaseResult) -> Option<CaseResult> {
        let same = |other: &&CaseResult| other.id == result.id;
        let known = self.repetitions.iter().filter(same).count();
        if known < self.repeat as usize {
            self.repetitions.push(result.clone());
        }
        let all: Vec<CaseResult> = self.repetitions.iter().filter(same).cloned().collect();
        CaseResult::of_repetitions(&all)
    }
}

fn of<'a>(all: &'a mut Vec<Certification>, broker: &str) -> &'a mut Certification {
    let at = all.iter().position(|known| known.broker == broker).unwrap_or_else(|| {
        all.push(Certification { broker: broker.into(), ..Certification::default() });
        all.len() - 1
    });
    &mut all[at]
}

/// The place of a case in the matrix; one that this hilrig does not know comes last.
fn place(id: &str) -> usize {
    CASES.iter().position(|case| case.id == id).unwrap_or(CASES.len())
}
