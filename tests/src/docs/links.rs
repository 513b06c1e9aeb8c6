//! Links between pages, and paths that pages and sources name.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::markdown::Document;

/// Relative links whose file or anchor does not exist.
pub fn broken(root: &Path, pages: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    for page in pages {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { page.path.clone() } else { beside(&page.path, file) };
            let known = pages.iter().any(|page| page.path == file);
            if !known && !root.join(&file).exists() {
                found.push(format!("{}:{line}: the link {target} leads nowhere", page.path));
            } else if !anchor.is_empty()
                && !anchors(root, pages, &file).contains(&anchor.to_owned())
            {
                found.push(format!("{}:{line}: {file} has no heading #{anchor}", page.path));
            }
        }
    }
    found
}

fn anchors(root: &Path, pages: &[Document], file: &str) -> Vec<String> {
    match pages.iter().find(|page| page.path == file) {
        Some(page) => page.anchors(),
        None => {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            Document::new(file, &text).anchors()
        }
    }
}

/// `target` as seen from the folder of `page`, both relative to the repository.
fn beside(page: &str, target: &str) -> String {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for step in target.trim_end_matches('/').split('/') {
        match step {
            ".." => drop(path.pop()),
            "." | "" => {}
            step => path.push(step),
        }
    }
    path.join("/")
}

/// Code spans that look like a path of the repository and are none. A path begins with a folder of
/// the repository, or of the page's own folder. What a build makes is not checked.
pub fn missing_paths(root: &Path, pages: &[Document]) -> Vec<String> {
    let path = Regex::new(r"^\.?[A-Za-z0-9_-]+(/[A-Za-z0-9._-]+)+/?$").expect("a pattern");
    let page_name = Regex::new(r"^[A-Za-z0-9_-]+\.md$").expect("a pattern");
    let mut found = Vec::new();
    for page in pages {
        let own = root.join(&page.path).parent().map(Path::to_owned).unwrap_or_default();
        for (line, span) in page.spans() {
            let span = span.split("::").next().unwrap_or_default();
            let first = span.split('/').next().unwrap_or_default();
            let known =
                path.is_match(span) && (root.join(first).is_dir() || own.join(first).is_dir());
            if (!known && !page_name.is_match(span)) || is_built(span) {
                continue;
            }
            if !root.join(span).exists() && !own.join(span).exists() {
                found.push(format!("{}:{line}: there is no {span}", page.path));
            }
        }
    }
    found
}

fn is_built(path: &str) -> bool {
    path.split('/').any(|step| ["build", "target", ".pio", "hilrig-records"].contains(&step))
}

/// Pages of docs/ that a source file names and that do not exist.
pub fn missing_pages(root: &Path, sources: &[String]) -> Vec<String> {
    let named = Regex::new(r"\bdocs/[A-Za-z0-9_/.-]+\.(?:md|svg)\b").expect("a pattern");
    let mut found = Vec::new();
    for source in sources {
        let bytes = std::fs::read(root.join(source)).expect("a source is read");
        for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
            for page in named.find_iter(line) {
                let address = line[..page.start()].contains("://");
                if !address && !root.join(page.as_str()).exists() {
                    found.push(format!("{source}:{number}: there is no {}", page.as_str()));
                }
            }
        }
    }
    found
}

/// Tests that pages name as `FILE::NAME` and that are not in that file.
pub fn missing_tests(root: &Path, pages: &[Document]) -> Vec<String> {
    let named =
        Regex::new(r"^([A-Za-z0-9_/.-]+\.(?:rs|c|py|sh))::([A-Za-z0-9_]+)$").expect("a pattern");
    let mut found = Vec::new();
    for page in pages {
        for (line, span) in page.spans() {
            let Some(parts) = named.captures(&span) else { continue };
            let file: PathBuf = root.join(&parts[1]);
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let there = ["fn ", "void ", "int ", "def "]
                .iter()
                .any(|kind| text.contains(&format!("{kind}{}(", &parts[2])));
            if !there {
                found
                    .push(format!("{}:{line}: {} has no test {}", page.path, &parts[1], &parts[2]));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::root;

    fn page(text: &str) -> Vec<Document> {
        vec![Document::new("planted/page.md", text)]
    }

    #[test]
    fn a_wrong_link_is_found() {
        let pages = page(
            "# One\n[a](nowhere.md) [b](#two) [c](#one) [d](../README.md#no-such) [e](../Makefile)\n",
        );
        let found = broken(&root(), &pages);
        assert_eq!(
            found,
            [
                "planted/page.md:2: the link nowhere.md leads nowhere",
                "planted/page.md:2: planted/page.md has no heading #two",
                "planted/page.md:2: README.md has no heading #no-such",
            ]
        );
    }

    #[test]
    fn a_wrong_path_is_found() {
        let pages = page(
            "`tests/src/none.rs`, `tests/src/skip.rs`, `text/plain`, `firmware/build/x.bin`, `none.md`\n",
        );
        let found = missing_paths(&root(), &pages);
        assert_eq!(
            found,
            [
                "planted/page.md:1: there is no tests/src/none.rs",
                "planted/page.md:1: there is no none.md",
            ]
        );
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        let pages =
            page("`tests/src/docs/links.rs::a_wrong_link_is_found`, `tests/src/skip.rs::gone`\n");
        let found = missing_tests(&root(), &pages);
        assert_eq!(found, ["planted/page.md:1: tests/src/skip.rs has no test gone"]);
    }

    #[test]
    fn a_page_that_a_source_names_must_exist() {
        let folder = tempfile::tempdir().expect("a folder");
        let planted = format!("// see {}/gone.md\n", "docs");
        std::fs::write(folder.path().join("a.rs"), planted).expect("a source is written");
        let found = missing_pages(folder.path(), &["a.rs".to_owned()]);
        assert_eq!(found, [format!("a.rs:1: there is no {}/gone.md", "docs")]);
    }
}
