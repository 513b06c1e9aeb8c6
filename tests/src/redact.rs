//! Output with what differs from run to run taken out, for snapshots.

use std::path::Path;

use regex::Regex;

fn replaced(text: &str, rules: &[(&str, &str)]) -> String {
    rules.iter().fold(text.to_owned(), |text, (pattern, by)| {
        let pattern = Regex::new(pattern).expect("a fixed pattern");
        pattern.replace_all(&text, *by).into_owned()
    })
}

const FACTS: [(&str, &str); 8] = [
    (r"\b\d{8}-\d{6}-[0-9a-f]{8}\b", "[run]"),
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "[mac]"),
    (r"/dev/pts/\d+", "[port]"),
    (r"\b\d{6} B\b", "[image] B"),
    (r"mosquitto \d+(\.\d+)+", "mosquitto [version]"),
    (r"/\S*/mosquitto\b", "[mosquitto]"),
    (r"\b[0-9a-f]{64}\b", "[sha256]"),
    (r"\b[0-9a-f]{16}\b", "[build]"),
];

/// What a command printed, without the bench's folder in it.
pub fn output(text: &str, bench: &Path) -> String {
    let text = text.replace(bench.to_str().expect("a path of text"), "[bench]");
    replaced(&text, &FACTS)
}

/// What `hilrig run` printed: without times, figures and free ports. The broker is ready at
/// whatever place among the boards' lines, so its line goes to the end of them.
pub fn run_output(text: &str, bench: &Path) -> String {
    let text = output(text, bench);
    let text = replaced(
        &text,
        &[
            (r"\[ *\d+\.\d{3}s\]", "[at]"),
            (r" +\d+\.\d{3} s", " [time]"),
            (r"seed \d+", "seed [seed]"),
            (r", port \d+,", ", port [port],"),
            (r"(\.[a-z0-9.]+) \d+ B", "$1 [bytes]"),
            (r" +\d{5}\b", " [heap]"),
            (r" {3,}", "   "),
        ],
    );
    let (mut lines, mut broker) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match line.starts_with("[at] broker:") {
            true => broker.push(line),
            false => lines.push(line),
        }
    }
    let end = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
    lines.splice(end..end, broker);
    lines.join("\n")
}

/// A boot log: without the board's own name, times, heap figures and digests. What comes after the
/// line that the run waited for last is there or not, by who is quicker.
pub fn boot_log(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\r', "");
    let last = text.rfind("ESP8266 Mode:").expect("a mode was up");
    let end = text[last..].find('\n').map_or(text.len(), |end| last + end + 1);
    replaced(
        &text[..end],
        &[
            (r"\b[0-9a-f]{64}\b", "[sha256]"),
            (r"Build: [0-9a-f]{16}", "Build: [build]"),
            (r"mqtt_([rt]x)_[0-9a-f]{12}", "mqtt_${1}_[mac]"),
            (r"Waiting for time\.+", "Waiting for time..."),
            (r"Current GMT: .*", "Current GMT: [time]"),
            (r"(free|lowest|lowest ever|largest|stack) \d+", "$1 [bytes]"),
            (r"fragmentation \d+", "fragmentation [percent]"),
            (r"suite 0x[0-9A-F]{4}", "suite [suite]"),
            (r"handshake \d+ ms", "handshake [time]"),
            (r"len \d+, room \d+ ", "len [bytes], room [bytes] "),
            (r"tail \d+", "tail [bytes]"),
            (r"(chksum|csum) 0x[0-9a-f]{2}", "$1 [sum]"),
            // How often it fell is as segments came.
            (r"(Heap page: .*\n)(Heap page: .*\n)+", "$1"),
        ],
    )
}

/// A summary: without times, figures and names of the machine.
pub fn summary(text: &str, bench: &Path) -> String {
    let text = output(text, bench);
    replaced(
        &text,
        &[
            (r#""(started|hilrig)": "[^"]*""#, r#""$1": "[$1]""#),
            (r#""image": "[^"]*""#, r#""image": "[image]""#),
            // The boot log has some figures more or less often (see above).
            (r#""line": \d+"#, r#""line": "[line]""#),
            (r#""seconds": [0-9.e-]+"#, r#""seconds": "[seconds]""#),
            (r#""waited": [0-9.e-]+"#, r#""waited": "[seconds]""#),
            (
                r#""(seed|bytes|flashed_bytes|lowest_free|largest|fragmentation|samples|used|log_line|port)": \d+"#,
                r#""$1": "[$1]""#,
            ),
            (r#""version": "[0-9.]+""#, r#""version": "[version]""#),
            (r#""from": "[^"]*""#, r#""from": "[from]""#),
            (r#""found": "\d+ B"#, r#""found": "[figure] B"#),
            (r#"in \d+ samples"#, "in [count] samples"),
        ],
    )
}
