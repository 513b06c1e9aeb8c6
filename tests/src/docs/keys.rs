//! Keys of runner-config.toml and of the contract that pages name.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::markdown::Document;

/// Sections of a file with their keys.
pub type Sections = BTreeMap<String, BTreeSet<String>>;

/// The sections and keys of a commented TOML file; those behind a `#` count as well.
pub fn sections(text: &str) -> Sections {
    let heading =
        Regex::new(r"^(?:# ?)?\[\[?([A-Za-z0-9_.]+)\]\]?(?:\s*#.*)?$").expect("a pattern");
    let key = Regex::new(r"^(?:# ?)?([a-z_0-9]+) = \S").expect("a pattern");
    let mut found = Sections::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(parts) = heading.captures(line) {
            section = general(&parts[1]);
            found.entry(section.clone()).or_default();
        } else if let Some(parts) = key.captures(line) {
            found.entry(section.clone()).or_default().insert(parts[1].to_owned());
        }
    }
    found
}

/// A section's name with the kind of board left open.
fn general(section: &str) -> String {
    let kind = section.strip_prefix("firmware.");
    match kind {
        Some(kind) if !["settings", "secrets"].contains(&kind) => "firmware.KIND".into(),
        _ => section.into(),
    }
}

/// What a reference page has differently from the file that it describes. A heading
/// "`[section]`" is followed by tables whose first column has the keys.
pub fn differences(page: &Document, file: &Sections) -> Vec<String> {
    let section = Regex::new(r"`\[\[?([A-Za-z0-9_.]+)\]\]?`").expect("a pattern");
    let span = Regex::new(r"`([a-z_0-9]+)`").expect("a pattern");
    let mut described = Sections::new();
    let mut open: Vec<String> = vec![String::new()];
    let mut table = false;
    for (_, line) in &page.prose {
        if line.starts_with('#') {
            open = section.captures_iter(line).map(|parts| general(&parts[1])).collect();
            if line.starts_with("# ") {
                open.push(String::new());
            }
            for section in &open {
                described.entry(section.clone()).or_default();
            }
        } else if line.starts_with("| Key ") {
            table = true;
        } else if let Some(row) = line.strip_prefix('|').filter(|_| table) {
            let first = row.split('|').next().unwrap_or_default();
            for key in span.captures_iter(first) {
                for section in &open {
                    described.entry(section.clone()).or_default().insert(key[1].to_owned());
                }
            }
        } else {
            table = false;
        }
    }
    let mut found = Vec::new();
    let described_in_words = |name: &str| name == "stored" || name.starts_with("stored.");
    for (section, keys) in file.iter().filter(|(name, _)| !described_in_words(name)) {
        let Some(have) = described.get(section) else {
            found.push(format!("{} does not describe [{section}]", page.path));
            continue;
        };
        let lacks = keys.difference(have);
        found.extend(lacks.map(|key| format!("{} lacks `{key}` of [{section}]", page.path)));
        let more = have.difference(keys);
        found.extend(more.map(|key| format!("{}: [{section}] has no `{key}`", page.path)));
    }
    let unknown = described.keys().filter(|name| !name.is_empty() && !file.contains_key(*name));
    found.extend(unknown.map(|name| format!("{}: there is no [{name}]", page.path)));
    found
}

/// Keys and sections in TOML blocks and code spans that are in none of these files. Blocks of another
/// format (a baseline, Cargo's) have sections that no file has, and are left alone.
pub fn unknown(page: &Document, files: &[&Sections]) -> Vec<String> {
    let mut found = Vec::new();
    for block in page.blocks.iter().filter(|block| ["", "toml"].contains(&block.language.as_str()))
    {
        for (section, keys) in sections(&block.lines.join("\n")) {
            let known: Vec<_> = files.iter().filter_map(|file| file.get(&section)).collect();
            let free = ["firmware.settings", "firmware.secrets"].contains(&section.as_str());
            if section.is_empty() || known.is_empty() || free {
                continue;
            }
            for key in keys.iter().filter(|key| !known.iter().any(|keys| keys.contains(*key))) {
                found.push(format!("{}:{}: [{section}] has no `{key}`", page.path, block.line));
            }
        }
    }
    let dotted =
        Regex::new(r"^(deadlines|connection|http|record|heap\.reply|firmware\.KIND)\.([a-z_]+)$")
            .expect("a pattern");
    let heading = Regex::new(r"^\[\[?([a-z_]+(?:\.[A-Za-z0-9_]+)*)\]\]?$").expect("a pattern");
    for (line, span) in page.spans() {
        let at = format!("{}:{line}", page.path);
        if let Some(parts) = dotted.captures(&span) {
            let whole = files.iter().any(|file| file.contains_key(&span));
            let key =
                |file: &&Sections| file.get(&parts[1]).is_some_and(|keys| keys.contains(&parts[2]));
            if !whole && !files.iter().any(key) {
                found.push(format!("{at}: there is no key {span}"));
            }
        } else if let Some(parts) = heading.captures(&span) {
            let name = general(&parts[1]);
            let parent =
                |file: &&Sections| file.keys().any(|key| key.starts_with(&format!("{name}.")));
            let open = name.contains(|c: char| c.is_ascii_uppercase());
            let there = open || files.iter().any(|file| file.contains_key(&name) || parent(file));
            if !there && name.contains('.') && !name.starts_with("baseline.") {
                found.push(format!("{at}: there is no section {span}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "schema = 1\n# Waits. Text = no key\n[deadlines]\n# lock = \"2 s\"  # a wait\n\n\
                        # [firmware.esp8266]\n# image = \"a.bin\"\n";

    #[test]
    fn a_key_that_is_not_there_is_found() {
        let file = sections(FILE);
        assert_eq!(file["deadlines"], BTreeSet::from(["lock".to_owned()]));
        assert_eq!(file["firmware.KIND"], BTreeSet::from(["image".to_owned()]));
        let page = Document::new(
            "planted/page.md",
            "`deadlines.lock` `deadlines.lunch` `[heap.roof]`\n\n```toml\n[firmware.esp32]\nimage = 1\npicture = 2\n```\n",
        );
        let found = unknown(&page, &[&file]);
        assert_eq!(
            found,
            [
                "planted/page.md:4: [firmware.KIND] has no `picture`",
                "planted/page.md:1: there is no key deadlines.lunch",
                "planted/page.md:1: there is no section [heap.roof]",
            ]
        );
    }

    #[test]
    fn a_reference_must_have_the_very_keys() {
        let page = Document::new(
            "planted/page.md",
            "| Key | x |\n| --- | --- |\n| `schema` | 1 |\n\n## `[deadlines]`\n\n| Key | x |\n| --- | --- |\n| `lunch` | y |\n",
        );
        let found = differences(&page, &sections(FILE));
        assert_eq!(
            found,
            [
                "planted/page.md lacks `lock` of [deadlines]",
                "planted/page.md: [deadlines] has no `lunch`",
                "planted/page.md does not describe [firmware.KIND]",
            ]
        );
    }
}
