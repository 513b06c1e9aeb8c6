//! Who allocated the heap, reported with the functions that the ELF names.

use std::convert::Infallible;

use hilrig_core::callers::{HeapCaller, HeapCallers};
use hilrig_core::event::What;

use crate::crashes::Elf;
use crate::journal::Journal;
use crate::log::Log;

/// Reports who allocated the heap, as long as the log is fed.
pub async fn report_all(
    journal: &Journal<'_>,
    log: &Log,
    elf: Option<&Elf>,
    wrappers: &[String],
) -> Infallible {
    loop {
        let news = log.news();
        report(journal, elf, wrappers).await;
        news.await;
    }
}

/// Reports what is not reported yet.
pub async fn report(journal: &Journal<'_>, elf: Option<&Elf>, wrappers: &[String]) {
    while let Some(callers) = journal.take_callers() {
        let callers = match elf {
            Some(elf) => with_functions(callers, elf, wrappers).await,
            None => callers,
        };
        journal.emit(What::HeapCallers(callers));
    }
}

async fn with_functions(mut callers: HeapCallers, elf: &Elf, wrappers: &[String]) -> HeapCallers {
    let addresses = callers.callers.iter().map(|caller| caller.address.map(|hex| hex.0)).collect();
    let found = elf.calls(addresses).await;
    for (caller, places) in callers.callers.iter_mut().zip(found) {
        let wrapper = |function: &Option<String>| {
            function.as_ref().is_some_and(|function| wrappers.contains(function))
        };
        let wanted = places.iter().find(|place| !wrapper(&place.function)).or(places.last());
        if let Some(place) = wanted.cloned() {
            let HeapCaller { function, file, line, .. } = caller;
            (*function, *file, *line) = (place.function, place.file, place.line);
        }
    }
    callers
}
