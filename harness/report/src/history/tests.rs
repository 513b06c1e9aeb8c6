use super::*;
use crate::heap::tests::run;
use crate::record::HISTORY;

fn at(number: u32) -> RunModel {
    let mut run =
        run(&[(HeapPhase::Page, 300, 200), (HeapPhase::Boot, 50_000 + u64::from(number), 400)]);
    let started = run.started.as_mut().unwrap();
    started.run = format!("r-{number}");
    started.started = format!("2026-11-{:02}T10:00:00Z", number + 1);
    run
}

fn boots(history: &History, wanted: &HistoryFilter) -> Vec<u64> {
    let rows = history.rows(wanted).unwrap();
    let lowest =
        |row: &&HistoryRow| row.phase == HeapPhase::Boot && row.metric == Metric::LowestFree;
    rows.iter().filter(lowest).map(|row| row.value).collect()
}

#[test]
fn runs_come_back_oldest_first_and_a_run_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join(HISTORY);
    let mut history = History::open(&path).unwrap();
    for number in [2, 0, 1, 1] {
        history.add(&at(number), Path::new("record")).unwrap();
    }
    drop(history);
    let history = History::read(&path).unwrap();
    assert_eq!(boots(&history, &HistoryFilter::default()), [50_000, 50_001, 50_002]);
    assert_eq!(
        boots(&history, &HistoryFilter { last: Some(2), ..HistoryFilter::default() }),
        [50_001, 50_002]
    );
    assert!(
        boots(
            &history,
            &HistoryFilter { kind: Some("esp8266".into()), ..HistoryFilter::default() }
        )
        .is_empty()
    );
    assert_eq!(history.runs().unwrap().len(), 3);
    let rows = history.rows(&HistoryFilter { last: Some(1), ..HistoryFilter::default() }).unwrap();
    let names: Vec<_> = rows.iter().map(|row| (row.phase.name(), row.metric.name())).collect();
    let expected = [
        ("boot", "lowest_free"),
        ("boot", "largest"),
        ("boot", "fragmentation"),
        ("page", "lowest_free"),
        ("page", "largest"),
        ("page", "fragmentation"),
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_run_that_was_cut_off_is_known_and_has_no_figures() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(&folder.path().join(HISTORY)).unwrap();
    let mut cut_off = at(0);
    cut_off.boards[0].end.as_mut().unwrap().verdict = Verdict::RigFault;
    history.add(&cut_off, Path::new("record")).unwrap();
    assert!(boots(&history, &HistoryFilter::default()).is_empty());
    assert_eq!((history.runs().unwrap().len(), history.boards().unwrap().len()), (1, 0));
    let commit = "0123456789ab0123456789ab0123456789ab0123";
    assert_eq!(history.cut_off(commit).unwrap(), 1);
    history.add(&at(1), Path::new("record")).unwrap();
    assert_eq!(history.cut_off(commit).unwrap(), 1);
    assert_eq!(history.boards().unwrap(), [("b".into(), "virtual".into())].into());
    // As an older version left it.
    history.add(&at(2), Path::new("record")).unwrap();
    let older = "UPDATE boot SET verdict = 'rig fault' WHERE run = 3";
    history.database.execute(older, []).unwrap();
    assert_eq!(boots(&history, &HistoryFilter::default()), [50_001]);
    assert_eq!(
        boots(&history, &HistoryFilter { last: Some(1), ..HistoryFilter::default() }),
        [50_001]
    );
}

#[test]
fn a_run_is_found_by_its_id_and_runs_by_their_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(&folder.path().join(HISTORY)).unwrap();
    for (number, commit) in ["0123456789ab", "0123456789ab+", "0123456789ac", "0"]
        .into_iter()
        .map(str::to_owned)
        .map(Some)
        .chain([None])
        .enumerate()
    {
        let mut run = at(number as u32);
        run.started.as_mut().unwrap().commit = commit;
        history.add(&run, &Path::new("records").join(number.to_string())).unwrap();
    }
    let run = |id: &str| HistoryFilter { run: Some(id.into()), ..HistoryFilter::default() };
    assert_eq!(boots(&history, &run("r-2")), [50_002]);
    assert!(boots(&history, &run("r-")).is_empty());
    assert_eq!(history.record("r-2").unwrap(), Some("records/2".into()));
    assert_eq!(history.record("r-9").unwrap(), None);
    let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
    let of_commit = HistoryFilter { commit: Some(commit), ..HistoryFilter::default() };
    assert_eq!(boots(&history, &of_commit), [50_000, 50_001]);
}

#[test]
fn a_locked_history_is_reported_and_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(HISTORY);
    let mut history = History::open(&path).unwrap();
    history.add(&at(0), Path::new("record")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = history.add(&at(1), Path::new("record")).unwrap_err().to_string();
    assert!(error.contains("locked") && error.contains("The records hold all"), "{error}");
    assert!(History::open(&path).is_err());
    other.execute_batch("COMMIT").unwrap();
    history.add(&at(1), Path::new("record")).unwrap();
    assert_eq!(boots(&history, &HistoryFilter::default()), [50_000, 50_001]);
}

#[test]
fn what_is_no_history_or_a_newer_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(HISTORY);
    std::fs::write(&path, "this is no database, and is long enough to be looked at as one")
        .unwrap();
    let error = History::open(&path).err().unwrap().to_string();
    assert!(error.contains("not a database") && error.contains("The records hold"), "{error}");
    std::fs::remove_file(&path).unwrap();
    drop(History::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let error = History::open(&path).err().unwrap().to_string();
    assert!(error.contains("its schema is 9"), "{error}");
    assert!(History::read(&folder.path().join("none")).is_err());
}
