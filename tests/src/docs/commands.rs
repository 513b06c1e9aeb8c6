//! Command lines that pages show, checked against the help of `hilrig` and the Makefiles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use super::markdown::Document;

/// What one command of `hilrig` accepts, as its help has it.
#[derive(Debug, Default, Clone)]
pub struct CommandHelp {
    commands: BTreeSet<String>,
    /// Long and short names; whether a value follows, and which values there are.
    flags: BTreeMap<String, (bool, BTreeSet<String>)>,
    needed: usize,
    most: usize,
}

impl CommandHelp {
    /// Reads a help text.
    pub fn read(help: &str) -> CommandHelp {
        let flag = Regex::new(r"^ +(?:(-\w), )?(--[\w-]+)( <.+?>)?").expect("a pattern");
        let positional = Regex::new(r"^ +([<\[])[A-Z_]+[>\]](\.\.\.)?").expect("a pattern");
        let value = Regex::new(r"^ +- ([\w-]+)(?::|$)").expect("a pattern");
        let mut accepted = CommandHelp::default();
        let (mut section, mut last) = ("", Vec::new());
        for line in help.lines() {
            if !line.starts_with(' ') && line.ends_with(':') {
                section = line;
                continue;
            }
            if let Some(parts) = flag.captures(line) {
                let names = [parts.get(1), parts.get(2)].into_iter().flatten();
                last = names.map(|name| name.as_str().to_owned()).collect();
                for name in &last {
                    accepted.flags.insert(name.clone(), (parts.get(3).is_some(), BTreeSet::new()));
                }
            } else if let Some(parts) =
                positional.captures(line).filter(|_| section == "Arguments:")
            {
                last.clear();
                accepted.needed += usize::from(&parts[1] == "<");
                accepted.most = if parts.get(2).is_some() { usize::MAX } else { accepted.most + 1 };
            } else if let Some(parts) = value.captures(line) {
                for name in &last {
                    let values = &mut accepted.flags.get_mut(name).expect("a flag was read").1;
                    values.insert(parts[1].to_owned());
                }
            } else if section == "Commands:" && line.starts_with("  ") && !line.starts_with("   ") {
                accepted.commands.extend(line.split_whitespace().next().map(str::to_owned));
            }
        }
        accepted
    }
}

/// The helps of a binary, each asked for once.
pub struct Helps {
    binary: PathBuf,
    known: BTreeMap<Vec<String>, CommandHelp>,
}

impl Helps {
    /// The helps of this binary.
    pub fn of(binary: PathBuf) -> Helps {
        Helps { binary, known: BTreeMap::new() }
    }

    /// What the command at `path` accepts; a path that is no command has an empty help.
    pub fn get(&mut self, path: &[String]) -> CommandHelp {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let ran = Command::new(&self.binary).args(path).arg("--help").output();
        let help = ran.expect("hilrig runs").stdout;
        let accepted = CommandHelp::read(&String::from_utf8_lossy(&help));
        self.known.insert(path.to_owned(), accepted.clone());
        accepted
    }

    /// Every command and subcommand, such as `heap check`. `help` is clap's own.
    pub fn commands(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for command in self.get(&[]).commands.iter().filter(|name| *name != "help") {
            let below = self.get(std::slice::from_ref(command)).commands;
            all.push(command.clone());
            let below = below.iter().filter(|name| *name != "help");
            all.extend(below.map(|name| format!("{command} {name}")));
        }
        all
    }

    /// What is wrong with the words after `hilrig`. A `mention` may lack arguments that are needed.
    pub fn judge(&mut self, words: &[String], mention: bool) -> Option<String> {
        let mut path: Vec<String> = Vec::new();
        let mut accepted = self.get(&path);
        let mut words = words.iter().peekable();
        while let Some(word) = words.next_if(|word| accepted.commands.contains(*word)) {
            path.push(word.clone());
            accepted = self.get(&path);
        }
        let name = format!("hilrig {}", path.join(" "));
        let mut positionals = 0;
        while let Some(word) = words.next() {
            if word == "..." || word == "COMMAND" {
                return None;
            }
            if !word.starts_with('-') || word == "-" {
                positionals += 1;
                continue;
            }
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word.as_str(), None),
            };
            let Some((takes, values)) = accepted.flags.get(flag) else {
                return Some(format!("{name} has no {flag}"));
            };
            if !takes {
                continue;
            }
            let value = inline.or_else(|| words.next().map(String::as_str));
            let Some(value) = value.filter(|value| !value.starts_with("--")) else {
                if mention {
                    continue;
                }
                return Some(format!("{name} {flag} needs a value"));
            };
            let placeholder = value.chars().all(|c| c.is_ascii_uppercase() || "_-|".contains(c));
            for value in value.split('|').filter(|_| !placeholder && !values.is_empty()) {
                if !values.contains(value) {
                    return Some(format!("{name} {flag} has no value {value}"));
                }
            }
        }
        if !accepted.commands.is_empty() && positionals > 0 {
            return Some(format!("{name} has no such command"));
        }
        if positionals > accepted.most {
            return Some(format!("{name} takes {} arguments", accepted.most));
        }
        let alone = mention || !accepted.commands.is_empty();
        if positionals < accepted.needed && !alone {
            return Some(format!("{name} needs {} arguments", accepted.needed));
        }
        None
    }
}

/// The commands of a line of shell: its words, split at pipes and the like, without comments,
/// prompts and assignments.
pub fn commands_of(line: &str) -> Vec<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ").trim_start_matches("- ");
    let line = line.strip_prefix("run: ").unwrap_or(line);
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote, mut open) = (String::new(), None, false);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (None, ' ') if !word.is_empty() || open => {
                let last = commands.last_mut().expect("there is one");
                match word.as_str() {
                    "|" | "||" | "&&" | ">" | ">>" | "<" | ";" => commands.push(Vec::new()),
                    _ if word.starts_with('#') => break,
                    _ => {
                        let end = word.strip_suffix(';').map(str::to_owned);
                        let plain = end.as_deref().unwrap_or(&word);
                        last.push(plain.trim_matches(['[', ']']).to_owned());
                        if end.is_some() {
                            commands.push(Vec::new());
                        }
                    }
                }
                (word, open) = (String::new(), false);
            }
            (None, ' ') => {}
            (None, c) => word.push(c),
        }
    }
    for command in &mut commands {
        let assigns = |word: &String| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        let first = command.iter().position(|word| !assigns(word)).unwrap_or(command.len());
        command.drain(..first);
        if command.first().is_some_and(|word| ["if", "time", "sudo", "!"].contains(&word.as_str()))
        {
            command.remove(0);
        }
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// Lines of a page that may be commands: number, text, and whether it is only a mention.
fn lines_of(page: &Document) -> Vec<(usize, String, bool)> {
    let mut lines = Vec::new();
    for block in &page.blocks {
        if !["", "sh", "shell", "bash", "console", "yaml"].contains(&block.language.as_str()) {
            continue;
        }
        let mut joined = String::new();
        for (number, line) in (block.line..).zip(&block.lines) {
            joined += line.trim_end_matches('\\');
            if !line.ends_with('\\') {
                lines.push((number, std::mem::take(&mut joined), false));
            }
        }
    }
    lines.extend(page.spans().into_iter().map(|(number, span)| (number, span, true)));
    lines
}

/// Command lines that start `hilrig` and that it would refuse.
pub fn refused(helps: &mut Helps, pages: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    for page in pages {
        for (number, line, mention) in lines_of(page) {
            for command in commands_of(&line) {
                let program = command[0].rsplit('/').next().unwrap_or_default();
                let printed = command.get(1).is_some_and(|word| word.ends_with(':'));
                if program != "hilrig" || printed {
                    continue;
                }
                if let Some(wrong) = helps.judge(&command[1..], mention) {
                    found.push(format!("{}:{number}: {wrong}: {}", page.path, command.join(" ")));
                }
            }
        }
    }
    found
}

/// Targets of `make` that pages name and that the Makefile of that folder does not have.
pub fn missing_targets(root: &Path, pages: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    for page in pages {
        let own = root.join(&page.path).parent().map(Path::to_owned).unwrap_or_default();
        for (number, line, _) in lines_of(page) {
            for command in commands_of(&line).iter().filter(|command| command[0] == "make") {
                let mut folders = [own.clone(), root.to_owned()];
                let mut words = command[1..].iter();
                while let Some(word) = words.next() {
                    if word == "-C" {
                        let below = words.next().cloned().unwrap_or_default();
                        folders.iter_mut().for_each(|folder| *folder = folder.join(&below));
                    } else if word.starts_with('-') || word.contains('=') || !is_target(word) {
                        // In a list of targets two blanks end the command, and text follows.
                        if !word.starts_with('-') && !word.contains('=') {
                            break;
                        }
                    } else if !folders.iter().any(|folder| has_target(folder, word)) {
                        found.push(format!("{}:{number}: make has no target {word}", page.path));
                    }
                    if line.contains("  ") && !word.starts_with('-') {
                        break;
                    }
                }
            }
        }
    }
    found
}

fn is_target(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

fn has_target(folder: &Path, target: &str) -> bool {
    let text = std::fs::read_to_string(folder.join("Makefile")).unwrap_or_default();
    text.lines().any(|line| {
        let targets = line.split_once(':').filter(|(_, rest)| !rest.starts_with('='));
        targets.is_some_and(|(names, _)| names.split(' ').any(|name| name == target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::root;

    fn helps() -> Helps {
        let mut helps = Helps::of(PathBuf::from("none"));
        let top = "Commands:\n  run   Run it\n  heap  Heap\n\nOptions:\n  -h, --help  Print help\n";
        let run = "Options:\n      --virtual <N>\n          Boards\n\n      --kind <KIND>\n          \
                   Kind\n\n          Possible values:\n          - virtual: one\n          - lm3s6965\n\n  \
                   -h, --help\n";
        let heap = "Arguments:\n  <BEFORE>  One\n  [AFTER]   Another\n\nOptions:\n  -h, --help\n";
        for (path, help) in [("", top), ("run", run), ("heap", heap)] {
            let path = path.split_whitespace().map(str::to_owned).collect();
            helps.known.insert(path, CommandHelp::read(help));
        }
        helps
    }

    fn judged(line: &str) -> Option<String> {
        let commands = commands_of(line);
        helps().judge(&commands[0][1..], false)
    }

    #[test]
    fn a_command_that_would_be_refused_is_found() {
        assert_eq!(judged("hilrig run --virtual 3 --kind lm3s6965"), None);
        assert_eq!(judged("hilrig run --kind KIND"), None);
        assert_eq!(
            judged("hilrig run --kind=esp8266").unwrap(),
            "hilrig run --kind has no value esp8266"
        );
        assert_eq!(judged("hilrig run --virtuals 3").unwrap(), "hilrig run has no --virtuals");
        assert_eq!(judged("hilrig run --virtual").unwrap(), "hilrig run --virtual needs a value");
        assert_eq!(judged("hilrig walk").unwrap(), "hilrig  has no such command");
        assert_eq!(judged("hilrig heap").unwrap(), "hilrig heap needs 1 arguments");
        assert_eq!(judged("hilrig heap a b c").unwrap(), "hilrig heap takes 2 arguments");
    }

    #[test]
    fn a_line_of_shell_is_split_into_commands() {
        let commands = commands_of("$ A=1 hilrig run --for \"8 h\" | cat > out  # three boards");
        assert_eq!(commands, [vec!["hilrig", "run", "--for", "8 h"], vec!["cat"], vec!["out"]]);
    }

    #[test]
    fn a_target_that_is_gone_is_found() {
        let page = Document::new(
            "planted/page.md",
            "    make run\n    make -C firmware callers\n    make gone\n",
        );
        let found = missing_targets(&root(), &[page]);
        assert_eq!(found, ["planted/page.md:3: make has no target gone"]);
    }
}
