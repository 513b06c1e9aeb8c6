//! Checks the documentation against the repository: links, paths, commands, configuration keys.
//!
//! Each check returns its findings as text, `FILE:LINE: what is wrong`, so that a test can print
//! all of them at once and the checks themselves can be tested with a planted mistake.

pub mod cargo;
pub mod commands;
pub mod keys;
pub mod links;
pub mod markdown;
pub mod names;
pub mod pictures;

use std::path::{Path, PathBuf};

use markdown::Document;

/// Folders that hold built, fetched or recorded files.
const LEFT_OUT: [&str; 8] =
    ["target", ".git", "build", "hilrig-records", "node_modules", ".pio", "lib", "corpus"];

/// The repository's folder.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository is there")
}

/// Every file below `folder` whose name has one of these endings, sorted, relative to `folder`.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    collect(folder, "", endings, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, below: &str, endings: &[&str], found: &mut Vec<String>) {
    let entries = std::fs::read_dir(root.join(below)).expect("a folder of the repository is read");
    for entry in entries {
        let entry = entry.expect("a folder's entry is read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                collect(root, &path, endings, found);
            }
        } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// Every Markdown page of the repository.
pub fn pages(root: &Path) -> Vec<Document> {
    files(root, &[".md"])
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(root.join(&path)).expect("a page is read");
            Document::new(&path, &text)
        })
        .collect()
}
