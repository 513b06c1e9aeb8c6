//! Names of public types: each exists once in the workspace, or ARCHITECTURE.md says why not.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use super::markdown::Document;

/// The heading of the table with the exceptions.
const HEADING: &str = "Names that exist more than once";

/// Public types of library code by name, with the files that declare them. The modules `written`
/// mirror a file format key by key and have its words.
pub fn declared(root: &Path, folders: &[&str]) -> BTreeMap<String, Vec<String>> {
    let kind = Regex::new(r"^pub (?:struct|enum|trait|type|union) ([A-Z]\w*)").expect("a pattern");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in folders {
        for file in super::files(&root.join(folder), &[".rs"]) {
            let library =
                file.split('/').any(|step| step == "src") && !file.ends_with("written.rs");
            if !library {
                continue;
            }
            let text =
                std::fs::read_to_string(root.join(folder).join(&file)).expect("a source is read");
            for parts in text.lines().filter_map(|line| kind.captures(line)) {
                found.entry(parts[1].to_owned()).or_default().push(format!("{folder}/{file}"));
            }
        }
    }
    found
}

/// Names that exist more than once and are not listed, and names that are listed and exist once.
pub fn unexplained(page: &Document, declared: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut listed = Vec::new();
    let mut open = false;
    for (_, line) in &page.prose {
        if line.starts_with('#') {
            open = line.contains(HEADING);
        } else if let Some(row) = line.strip_prefix("| `").filter(|_| open) {
            listed.extend(row.split('`').next().map(str::to_owned));
        }
    }
    let twice = declared.iter().filter(|(name, files)| files.len() > 1 && !listed.contains(name));
    let mut found: Vec<String> =
        twice.map(|(name, files)| format!("{name} is declared in {}", files.join(", "))).collect();
    let once = listed.iter().filter(|name| declared.get(*name).is_none_or(|files| files.len() < 2));
    found.extend(once.map(|name| format!("{}: {name} exists once", page.path)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_exists_twice_must_be_explained() {
        let page = Document::new(
            "planted/page.md",
            "### Names that exist more than once\n\n| Name | Why |\n| --- | --- |\n| `Verdict` | x |\n| `Gone` | y |\n\n# End\n| `Other` | z |\n",
        );
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let declared = BTreeMap::from([
            ("Verdict".to_owned(), files(&["a.rs", "b.rs"])),
            ("Other".to_owned(), files(&["a.rs", "b.rs"])),
            ("Single".to_owned(), files(&["a.rs"])),
        ]);
        let found = unexplained(&page, &declared);
        assert_eq!(found, ["Other is declared in a.rs, b.rs", "planted/page.md: Gone exists once"]);
    }
}
