use std::path::Path;

use hilrig_core::contract::Contract;

use super::*;

struct Nowhere;
impl ConsoleSink for Nowhere {
    fn chunk(&mut self, _: Instant, _: &[u8]) {}
}

fn log() -> Log {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/contract.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    Log::new(Rc::new(Patterns::new(&Contract::parse(&path, &text).unwrap()).unwrap()), true)
}

fn feed(log: &Log, bytes: &[u8]) {
    Feed { log, record: &mut Nowhere, on_hit: &mut |_| {}, on_restart: &mut |_| {} }
        .chunk(Instant::now(), bytes);
}

#[test]
fn the_first_starts_are_told_and_the_others_left_to_the_log() {
    let log = log();
    for cause in [1, 4].into_iter().chain(std::iter::repeat_n(2, 1000)) {
        feed(&log, format!(" ets Jan  8 2013,rst cause:{cause}, boot mode:(3,6)\r\n").as_bytes());
    }
    let starts: Vec<ChipStart> = std::iter::from_fn(|| log.take_start()).collect();
    assert_eq!(starts.len(), 20);
    assert_eq!((starts[0].line, starts[0].reset.as_str()), (1, "power-on"));
    assert_eq!((starts[1].line, starts[1].reset.as_str()), (2, "watchdog"));
    assert_eq!((starts[19].line, starts[19].boots.as_str()), (20, "flash"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_tells_what_came_instead() {
    let log = log();
    feed(&log, b"before\n");
    let mark = log.mark();
    feed(&log, b"one\ntwo \x1b[31m\nthr");
    let missed = log.wait(mark, Duration::from_secs(1), |_| None::<()>).await.unwrap_err();
    let Missed::Deadline(words) = missed else { panic!("{missed:?}") };
    assert_eq!(words, r"the board sent 17 bytes, the last: `one`, `two \x1b[31m`, `thr`");
    let missed = log.wait(log.mark(), Duration::from_secs(1), |_| None::<()>).await.unwrap_err();
    assert!(matches!(missed, Missed::Silence));
}

#[tokio::test]
async fn a_crash_ends_any_wait() {
    let log = log();
    let mark = log.mark();
    let (missed, ()) =
        tokio::join!(log.wait(mark, Duration::from_secs(60), |_| None::<()>), async {
            feed(&log, b"Exception (28):\r\n")
        });
    assert!(matches!(missed, Err(Missed::Alarm(alarm)) if alarm.line == 1 && !alarm.in_loader));
    assert_eq!(log.crashes(), 1);
}

#[tokio::test]
async fn a_flood_of_hits_stays_bounded() {
    let log = log();
    let line = b"ESP8266 IP: 10.0.2.15\n".repeat(1000);
    for _ in 0..20 {
        feed(&log, &line);
    }
    let inner = log.inner.borrow();
    assert!(inner.hits.len() <= MOST_HITS && inner.dropped > 0);
}

#[tokio::test]
async fn what_is_said_step_by_step_is_minded_for_ever_and_stays_bounded() {
    let log = log();
    for step in 0..3 * MOST_HITS / 1000 {
        let mark = log.mark();
        feed(&log, &b"ESP8266 IP: 10.0.2.15\n".repeat(1000));
        let mut seen = 0;
        let found = log.wait(mark, Duration::from_secs(5), |hit| {
            seen += 1;
            (seen == 1000).then_some(hit.line)
        });
        assert_eq!(found.await.unwrap().answer, 1000 * (step as u64 + 1));
    }
    log.mark();
    let inner = log.inner.borrow();
    assert!(inner.hits.len() <= KEPT_HITS && inner.dropped == 0);
}

#[test]
fn the_build_is_known_however_much_was_said_since() {
    let log = log();
    feed(&log, b"Build: 0123456789abcdef\n");
    for _ in 0..10 {
        log.mark();
        feed(&log, &b"ESP8266 IP: 10.0.2.15\n".repeat(500));
    }
    assert!(log.reset_asked(Some("0123456789abcdef")));
    assert!(!log.reset_asked(Some("another")));
}
