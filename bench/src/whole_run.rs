//! A whole run of one virtual board, and of many at once.

use std::path::Path;

use hilrig_core::contract::Contract;
use hilrig_core::phase::Phase;

use crate::figures::{Figures, Unit};
use crate::run::{MeasuredRun, Shares};
use crate::table::{Against, Table, TableRow};

/// The rig's own part of a run's wall time.
const SHARE: f64 = 0.10;
/// CPU seconds of the rig for a pass of [`MANY`] boards through the steps.
const CPU_PER_PASS: f64 = 0.1;
/// The same in a bare epoll loop, measured for the issue.
const CPU_FLOOR: f64 = 0.08;
/// Memory of the rig with [`MANY`] boards, bytes.
const MEMORY: f64 = 16e6;
/// How many boards are many.
const MANY: usize = 32;

/// One board: wall time, the rig's own share, and the two phase by phase.
pub fn one(
    hilrig: &Path,
    broker: &str,
    runs: usize,
) -> Result<(Vec<Table>, Vec<MeasuredRun>), String> {
    let runs =
        (0..runs).map(|_| MeasuredRun::new(hilrig, 1, broker)).collect::<Result<Vec<_>, _>>()?;
    let shares = runs.iter().map(MeasuredRun::shares).collect::<Result<Vec<_>, _>>()?;
    let of = |figure: &dyn Fn(&Shares, &MeasuredRun) -> f64| -> Figures {
        shares.iter().zip(&runs).map(|(shares, run)| figure(shares, run)).collect()
    };
    let kind = runs.first().and_then(|run| run.model.broker.as_ref());
    let kind = kind.map_or(broker, |facts| facts.kind.as_str());
    let mut table = Table::of_rows(format!("Whole run of one virtual board, broker: {kind}"));
    let seconds = |what, figures: Figures, note| TableRow {
        what,
        figures,
        unit: Unit::Seconds,
        aim: Against::Nothing,
        floor: None,
        note,
    };
    table.row(seconds("wall time", of(&|_, run| run.usage.wall), ""));
    table.row(seconds(
        "of it the broker's start",
        of(&|_, run| run.model.broker.as_ref().map_or(f64::NAN, |facts| facts.seconds)),
        "beside flash and boot; the wait for its rest is in the configuration phase",
    ));
    table.row(seconds("of it the broker's end", of(&|shares, _| shares.broker_stop), ""));
    table.row(TableRow {
        what: "the rig's own share",
        figures: of(&|shares, run| shares.own() / run.usage.wall),
        unit: Unit::Share,
        aim: Against::Below(SHARE),
        floor: None,
        note: "of the wall time: the process before the first phase, between the phases and after the last, and in each phase what is not waited for board or broker",
    });
    table.row(TableRow {
        what: "the same inside the phases",
        figures: of(&|shares, _| {
            shares.in_phases() / shares.phases.iter().map(|(_, s, _)| s).sum::<f64>()
        }),
        unit: Unit::Share,
        aim: Against::Below(SHARE),
        floor: None,
        note: "of the phases' time",
    });
    table.row(seconds(
        "CPU of the rig",
        of(&|_, run| run.usage.cpu),
        "hilrig's process alone, from /proc/PID/stat when it has ended and is not yet waited for; the virtual board's ROM loader and port are in it",
    ));
    table.row(seconds("CPU of QEMU and others", of(&|_, run| run.usage.children), ""));
    table.row(TableRow {
        what: "memory of the rig",
        figures: of(&|_, run| run.usage.peak as f64),
        unit: Unit::Megabytes,
        aim: Against::Nothing,
        floor: None,
        note: "",
    });

    let mut phases = Table::new(
        format!("The same phase by phase (medians of {}), broker: {kind}", runs.len()),
        &["", "seconds", "waited", "the rig's own", "min .. max", "part of the wall time"],
    );
    let wall = of(&|_, run| run.usage.wall).median();
    let mut line = |what: &str, seconds: Figures, waited: Option<Figures>, own: Figures, note| {
        let seconds = Unit::Seconds.text(seconds.median());
        let waited = waited.map(|waited| Unit::Seconds.text(waited.median()));
        let part = Unit::Share.text(own.median() / wall);
        let own = (Unit::Seconds.text(own.median()), own.range(Unit::Seconds));
        let cells = vec![what.into(), seconds, waited.unwrap_or_default(), own.0, own.1, part];
        phases.cells(cells, note);
    };
    let mut alone =
        |what: &str, figures: Figures, note| line(what, figures.clone(), None, figures, note);
    alone("before the first phase", of(&|shares, _| shares.before), "");
    alone("between the phases", of(&|shares, _| shares.between), "");
    for phase in Phase::ALL {
        let sum = |shares: &Shares, part: &dyn Fn(f64, f64) -> f64| -> f64 {
            let same = shares.phases.iter().filter(|(of, ..)| *of == phase);
            same.map(|(_, seconds, waited)| part(*seconds, *waited)).sum()
        };
        let note = match phase {
            Phase::Flash => {
                "all of it counts as waited; what the rig could do faster is in the flashing table"
            }
            _ => "",
        };
        line(
            phase.words(),
            of(&|shares, _| sum(shares, &|seconds, _| seconds)),
            Some(of(&|shares, _| sum(shares, &|_, waited| waited))),
            of(&|shares, _| sum(shares, &|seconds, waited| seconds - waited)),
            note,
        );
    }
    let mut alone =
        |what: &str, figures: Figures, note| line(what, figures.clone(), None, figures, note);
    alone("after the last phase", of(&|shares, _| shares.after), "without the broker's end");
    Ok((vec![table, phases], runs))
}

/// Many boards beside one.
pub fn many(
    hilrig: &Path,
    contract: &Contract,
    one: &[MeasuredRun],
    runs: usize,
) -> Result<Table, String> {
    let runs = (0..runs)
        .map(|_| MeasuredRun::new(hilrig, MANY, "process"))
        .collect::<Result<Vec<_>, _>>()?;
    let of =
        |figure: &dyn Fn(&MeasuredRun) -> f64| -> Figures { runs.iter().map(figure).collect() };
    let single: Figures = one.iter().map(|run| run.usage.wall).collect();
    let passes = |run: &MeasuredRun| run.boots(contract) as f64 / MANY as f64;
    let mut table = Table::of_rows(format!("{MANY} virtual boards at once, broker: process"));
    let plain = |what, figures, unit, note| TableRow {
        what,
        figures,
        unit,
        aim: Against::Nothing,
        floor: None,
        note,
    };
    table.row(TableRow {
        floor: (single.runs() > 0).then(|| single.median()),
        note: "floor: the wall time of one board",
        ..plain("wall time", of(&|run| run.usage.wall), Unit::Seconds, "")
    });
    table.row(plain(
        "passes through the steps",
        of(&passes),
        Unit::Times,
        "a pass: boot log, requests, TLS connection. A run boots each board so often: first start, wrong CA and back, switch, back; and it flashes each board before",
    ));
    table.row(plain("CPU of the rig in all", of(&|run| run.usage.cpu), Unit::Seconds, ""));
    table.row(TableRow {
        aim: Against::Below(CPU_PER_PASS),
        floor: Some(CPU_FLOOR),
        ..plain(
            "CPU of the rig a pass",
            of(&|run| run.usage.cpu / passes(run)),
            Unit::Seconds,
            "hilrig's process alone, virtual boards' ports and flashing included; floor: a bare epoll loop that does one pass, measured for the issue",
        )
    });
    table.row(plain(
        "CPU of QEMU and Mosquitto",
        of(&|run| run.usage.children),
        Unit::Seconds,
        "children that were waited for",
    ));
    table.row(TableRow {
        aim: Against::Below(MEMORY),
        ..plain(
            "memory of the rig",
            of(&|run| run.usage.peak as f64),
            Unit::Megabytes,
            "largest resident set (VmHWM), the program's own file included",
        )
    });
    table.row(plain(
        "of it allocated",
        of(&|run| run.usage.anonymous as f64),
        Unit::Megabytes,
        "largest RssAnon seen, looked at every 5 ms",
    ));
    Ok(table)
}
