//! The pictures of the documentation, drawn from what is there: `docs/pictures/run.svg` from a
//! recorded run, `docs/pictures/architecture.svg` from the crates' Cargo.toml. `make pictures` writes
//! them, and a test compares them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use hilrig_report::{HtmlFile, REPORT, Reporter as _, read_events};

/// A picture of the documentation.
pub struct Picture {
    /// Its path in the repository.
    pub path: &'static str,
    /// Draws it, from the repository's folder.
    pub draw: fn(&Path) -> String,
}

/// All pictures.
pub const PICTURES: [Picture; 2] = [
    Picture { path: "docs/pictures/run.svg", draw: run },
    Picture { path: "docs/pictures/architecture.svg", draw: architecture },
];

/// The events that the picture of a run is drawn from.
const RECORDED: &str = "docs/pictures/run.jsonl";

/// Rules of the page's style that a picture needs.
const RULES: [&str; 7] = ["svg text", ".shade ", ".scale ", ".free", ".floor", ".mark", ".passed"];

const HEAD: f64 = 34.0;
const WIDTH: f64 = 860.0;
const PLOT: f64 = 300.0;

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from} in the page")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} in the page")).0
}

/// The plot of a recorded run as its page has it, with the page's colours for light and dark.
fn run(root: &Path) -> String {
    let recorded = read_events(&root.join(RECORDED)).expect("the recorded run is read");
    let folder = tempfile::tempdir().expect("a folder for the page");
    let mut file = HtmlFile::new(folder.path().to_owned());
    for event in &recorded.events {
        file.event(event).expect("the page is written");
    }
    let page = std::fs::read_to_string(folder.path().join(REPORT)).expect("the page is read");

    let style = between(&page, "<style>", "</style>");
    let colours = between(style, "", "* {");
    let rules = style.lines().filter(|line| RULES.iter().any(|rule| line.trim().starts_with(rule)));
    let rules: String = rules.map(|line| format!("{line}\n")).collect();
    let plot = between(&page, "<svg viewBox=\"0 0 860 300\"", "</svg>");
    let plot = plot.split_once('>').expect("a tag ends").1;
    let legend = between(&page, "<p class=\"legend\">", "</p>");
    let title = recorded.events.iter().find_map(|event| event.board.clone()).unwrap_or_default();

    let mut signs = String::new();
    let (mut x, mut y) = (64.0, HEAD + PLOT + 12.0);
    for entry in legend.split("<span>").skip(1) {
        let (sign, words) = entry.split_once("</svg>").expect("an entry has a sign");
        let words = words.trim_end_matches("</span>");
        let width = 36.0 + words.len() as f64 * 6.2;
        if x + width > WIDTH {
            (x, y) = (64.0, y + 22.0);
        }
        let sign = sign.replace("<svg ", &format!("<svg x=\"{x}\" y=\"{}\" ", y - 12.0));
        let _ = writeln!(signs, "{sign}</svg><text x=\"{}\" y=\"{y}\">{words}</text>", x + 20.0);
        x += width;
    }
    let height = y + 14.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Free heap of a board over a run\">\n<style>\n{colours}\
         svg {{ font: 12px system-ui, \"DejaVu Sans\", sans-serif; }}\n{rules}\
         .title {{ font-size: 15px; font-weight: 600; fill: var(--text); }}\n.good {{ fill: var(--good); font-weight: 600; }}\n</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--back)\"/>\n\
         <text class=\"title\" x=\"64\" y=\"24\">Free heap of {title} over a run</text>\n\
         <text class=\"good\" x=\"848\" y=\"24\" text-anchor=\"end\">✓ passed</text>\n\
         <g transform=\"translate(0 {HEAD})\">{plot}</g>\n{signs}</svg>\n"
    )
}

/// A crate of the workspace.
struct Crate {
    folder: String,
    description: String,
    uses: BTreeSet<String>,
}

/// The crates below these folders, by package name.
fn crates(root: &Path) -> BTreeMap<String, Crate> {
    let mut found = BTreeMap::new();
    for path in super::files(root, &["Cargo.toml"]) {
        let folder = path.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned();
        if ["", "tests", "bench"].contains(&folder.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path)).expect("a Cargo.toml is read");
        let manifest: toml::Table = text.parse().expect("a Cargo.toml is TOML");
        let package = &manifest["package"];
        let of = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let uses = manifest.get("dependencies").and_then(|all| all.as_table()).into_iter();
        let ours = uses.flat_map(|all| all.keys()).filter(|name| name.starts_with("hilrig"));
        let uses = ours.cloned().collect();
        found.insert(of("name"), Crate { folder, description: of("description"), uses });
    }
    found
}

/// Crates that use this one and through no other crate.
fn users<'a>(crates: &'a BTreeMap<String, Crate>, name: &str) -> Vec<&'a str> {
    let direct = |one: &Crate| {
        let through = one.uses.iter().any(|other| other != name && reaches(crates, other, name));
        one.uses.contains(name) && !through
    };
    crates.iter().filter(|(_, one)| direct(one)).map(|(user, _)| user.as_str()).collect()
}

/// How far a crate is from the top.
fn level(crates: &BTreeMap<String, Crate>, name: &str) -> usize {
    users(crates, name).iter().map(|user| level(crates, user) + 1).max().unwrap_or(0)
}

/// Whether `from` reaches `to`, directly or through others.
fn reaches(crates: &BTreeMap<String, Crate>, from: &str, to: &str) -> bool {
    crates[from].uses.iter().any(|used| used == to || reaches(crates, used, to))
}

/// The crate that everything uses: a bar at the bottom, without arrows.
const BOTTOM: &str = "hilrig-core";

/// Width and height of a crate's box.
const BOX: (f64, f64) = (156.0, 90.0);
/// Between boxes of a layer, and between layers.
const GAP: (f64, f64) = (10.0, 40.0);

/// Where the boxes of a layer begin, from left to right: below the middle of their users.
fn lefts(middles: &[f64]) -> Vec<f64> {
    let step = BOX.0 + GAP.0;
    if middles.windows(2).all(|pair| pair[0] == pair[1]) {
        let width = middles.len() as f64 * step - GAP.0;
        let first = middles.first().map_or(0.0, |middle| middle - width / 2.0);
        return (0..middles.len()).map(|number| first + number as f64 * step).collect();
    }
    let mut next = 0.0;
    let place = |middle: &f64| {
        let left = (middle - BOX.0 / 2.0).max(next);
        next = left + step;
        left
    };
    middles.iter().map(place).collect()
}

/// The crates in layers, an arrow for each use that does not follow from others.
fn architecture(root: &Path) -> String {
    let mut crates = crates(root);
    let bottom = crates.remove(BOTTOM).expect("there is a crate that everything uses");
    let mut without = Vec::new();
    for one in crates.values_mut() {
        if !one.uses.remove(BOTTOM) {
            without.push(one.folder.clone());
        }
    }
    let but =
        if without.is_empty() { String::new() } else { format!(" but {}", without.join(", ")) };
    let layers = crates.keys().map(|name| level(&crates, name)).max().unwrap_or(0) + 1;
    let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for layer in 0..layers {
        let middle = |name: &str| {
            let users = users(&crates, name);
            let sum: f64 = users.iter().map(|user| places[user].0 + BOX.0 / 2.0).sum();
            if users.is_empty() { WIDTH / 2.0 } else { sum / users.len() as f64 }
        };
        let here = crates.keys().map(String::as_str).filter(|name| level(&crates, name) == layer);
        let mut here: Vec<(f64, &str)> = here.map(|name| (middle(name), name)).collect();
        here.sort_by(|a, b| a.0.total_cmp(&b.0).then(crates[a.1].folder.cmp(&crates[b.1].folder)));
        let middles: Vec<f64> = here.iter().map(|(middle, _)| *middle).collect();
        let y = 14.0 + layer as f64 * (BOX.1 + GAP.1);
        places.extend(here.iter().zip(lefts(&middles)).map(|((_, name), x)| (*name, (x, y))));
    }
    let bar = 14.0 + layers as f64 * (BOX.1 + GAP.1) - GAP.1 / 2.0;
    let height = bar + 50.0 + 14.0;
    let mut body = String::new();
    for (name, one) in &crates {
        let direct = one.uses.iter().filter(|used| users(&crates, used).contains(&name.as_str()));
        for used in direct {
            let (from, to) = (places[name.as_str()], places[used.as_str()]);
            let (x1, y1) = (from.0 + BOX.0 / 2.0, from.1 + BOX.1);
            let (x2, y2) = (to.0 + BOX.0 / 2.0, to.1 - 3.0);
            let _ = writeln!(
                body,
                "<path class=\"arrow\" d=\"M{x1} {y1}C{x1} {} {x2} {} {x2} {y2}\" marker-end=\"url(#tip)\"/>",
                y1 + 26.0,
                y2 - 26.0
            );
        }
    }
    for (name, one) in &crates {
        let (x, y) = places[name.as_str()];
        let _ = writeln!(
            body,
            "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\
             <text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
            BOX.0,
            BOX.1,
            x + 8.0,
            y + 18.0,
            one.folder
        );
        for (number, line) in wrapped(&one.description, 24).iter().enumerate() {
            let at = y + 35.0 + number as f64 * 14.0;
            let line = line.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(body, "<text x=\"{}\" y=\"{at}\">{line}</text>", x + 8.0);
        }
    }
    let middle = WIDTH / 2.0;
    let _ = writeln!(
        body,
        "<rect class=\"box\" x=\"20\" y=\"{bar}\" width=\"{}\" height=\"50\" rx=\"6\"/>\
         <text class=\"name\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}; used by all above{but}</text>",
        WIDTH - 40.0,
        bar + 20.0,
        bottom.folder,
        bar + 37.0,
        bottom.description
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"The crates: each uses those below it\">\n<style>\n\
         svg {{ font: 11px system-ui, \"DejaVu Sans\", sans-serif; --back: #ffffff; --text: #1b1f24; --soft: #4d565f; --panel: #f6f8fa; --line: #8c959f; }}\n\
         @media (prefers-color-scheme: dark) {{ svg {{ --back: #0f1318; --text: #e4e8ed; --soft: #9aa5b1; --panel: #171c23; --line: #6e7781; }} }}\n\
         text {{ fill: var(--soft); }}\n.name {{ fill: var(--text); font-size: 13px; font-weight: 600; }}\n\
         .box {{ fill: var(--panel); stroke: var(--line); }}\n.arrow {{ fill: none; stroke: var(--line); stroke-width: 1.25; }}\n.tip {{ fill: var(--line); }}\n</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8Z\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"var(--back)\"/>\n{body}</svg>\n"
    )
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && last.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
