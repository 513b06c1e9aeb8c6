//! As much of Markdown as the checks need: prose, code blocks, code spans, headings, links.

use std::collections::HashMap;

/// A page, taken apart.
#[derive(Debug)]
pub struct Document {
    /// Relative to the repository.
    pub path: String,
    /// Lines outside of code blocks, with their numbers.
    pub prose: Vec<(usize, String)>,
    /// Code blocks, fenced or indented.
    pub blocks: Vec<Block>,
}

/// A code block.
#[derive(Debug)]
pub struct Block {
    /// Number of its first line of code.
    pub line: usize,
    /// What stands behind the fence; empty for an indented block.
    pub language: String,
    /// Its lines, without the indentation of an indented block.
    pub lines: Vec<String>,
}

impl Document {
    /// Takes a page apart.
    pub fn new(path: &str, text: &str) -> Document {
        let mut page = Document { path: path.into(), prose: Vec::new(), blocks: Vec::new() };
        let mut fence: Option<Block> = None;
        let mut blank_before = true;
        let mut indented = false;
        for (number, line) in (1..).zip(text.lines()) {
            let trimmed = line.trim_start();
            if let Some(mark) = trimmed.strip_prefix("```") {
                match fence.take() {
                    Some(block) => page.blocks.push(block),
                    None => {
                        let language = mark.trim().to_owned();
                        fence = Some(Block { line: number + 1, language, lines: Vec::new() });
                    }
                }
                (blank_before, indented) = (false, false);
                continue;
            }
            if let Some(block) = &mut fence {
                block.lines.push(line.to_owned());
                continue;
            }
            let code = line.strip_prefix("    ").filter(|_| blank_before || indented);
            match code {
                Some(code) if indented => {
                    let block = page.blocks.last_mut().expect("an indented block has begun");
                    block.lines.push(code.to_owned());
                }
                // In a list such a line belongs to the item.
                Some(code) if !page.in_a_list() => {
                    let lines = vec![code.to_owned()];
                    page.blocks.push(Block { line: number, language: String::new(), lines });
                    indented = true;
                }
                _ if line.is_empty() && indented => {
                    let block = page.blocks.last_mut().expect("an indented block has begun");
                    block.lines.push(String::new());
                }
                _ => {
                    page.prose.push((number, line.to_owned()));
                    indented = false;
                }
            }
            blank_before = line.trim().is_empty();
        }
        page
    }

    fn in_a_list(&self) -> bool {
        let last = self.prose.iter().rev().map(|(_, line)| line).find(|line| !line.is_empty());
        last.is_some_and(|line| {
            let item = line.trim_start();
            let number = item.trim_start_matches(|c: char| c.is_ascii_digit());
            item.starts_with("- ") || (number.len() < item.len() && number.starts_with(". "))
        })
    }

    /// Code spans of the prose, with their lines.
    pub fn spans(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in &self.prose {
            let pieces: Vec<&str> = line.split('`').collect();
            found
                .extend(pieces.iter().skip(1).step_by(2).map(|span| (*number, (*span).to_owned())));
        }
        found
    }

    /// Targets of links, with their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in &self.prose {
            let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
            for rest in outside.split("](").skip(1) {
                let target = rest.split([')', ' ']).next().unwrap_or_default();
                found.push((*number, target.to_owned()));
            }
        }
        found
    }

    /// Headings: line, level, text.
    pub fn headings(&self) -> Vec<(usize, usize, &str)> {
        let mut found = Vec::new();
        for (number, line) in &self.prose {
            let text = line.trim_start_matches('#');
            let level = line.len() - text.len();
            if level > 0 && text.starts_with(' ') {
                found.push((*number, level, text.trim()));
            }
        }
        found
    }

    /// What a link may name behind its `#`, as GitHub makes it of the headings.
    pub fn anchors(&self) -> Vec<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let headings = self.headings().into_iter();
        headings
            .map(|(_, _, text)| {
                let anchor: String = text
                    .to_lowercase()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect();
                let times = seen.entry(anchor.clone()).or_insert(0);
                *times += 1;
                if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Document::new(
            "page.md",
            "# `run.json` and *more*\n\nSee [a](b.md#c) and `code [x](y)`.\n\n    hilrig run\n\n    \
             make\n\n```toml\n[board]\n```\n- item\n\n    not code\n\n# Again\n# Again\n",
        );
        assert_eq!(page.anchors(), ["runjson-and-more", "again", "again-1"]);
        assert_eq!(page.links(), [(3, "b.md#c".to_owned())]);
        assert_eq!(page.blocks.len(), 2);
        assert_eq!(page.blocks[0].lines, ["hilrig run", "", "make", ""]);
        assert_eq!((page.blocks[1].line, page.blocks[1].language.as_str()), (10, "toml"));
        assert_eq!(page.spans()[1], (3, "code [x](y)".to_owned()));
    }
}
