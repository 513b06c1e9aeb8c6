//! Packages and test targets that pages and Makefiles hand to cargo.

use std::path::Path;

use regex::Regex;

/// `-p PACKAGE` and `--test TARGET` in these files that do not exist.
pub fn missing_targets(root: &Path, files: &[String]) -> Vec<String> {
    let package = Regex::new(r"-p (hilrig[a-z-]*)").expect("a pattern");
    let target = Regex::new(r"--test ([a-z_0-9]+)").expect("a pattern");
    let packages: Vec<(String, String)> = super::files(root, &["Cargo.toml"])
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(root.join(&path)).ok()?;
            let manifest: toml::Table = text.parse().ok()?;
            let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
            Some((name, path.trim_end_matches("Cargo.toml").to_owned()))
        })
        .collect();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(root.join(file)).expect("a file is read");
        for (number, line) in (1..).zip(text.lines()) {
            let Some(name) = package.captures(line).map(|parts| parts[1].to_owned()) else {
                continue;
            };
            let Some((_, folder)) = packages.iter().find(|(known, _)| *known == name) else {
                found.push(format!("{file}:{number}: there is no package {name}"));
                continue;
            };
            for parts in target.captures_iter(line) {
                let test =
                    |end: &str| root.join(format!("{folder}tests/{}{end}", &parts[1])).exists();
                if !test(".rs") && !test("/main.rs") {
                    found.push(format!("{file}:{number}: {name} has no test {}", &parts[1]));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_gone_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
            std::fs::write(path, text).expect("a file is written");
        };
        write("one/Cargo.toml", "[package]\nname = \"hilrig-one\"\n");
        write("one/tests/there.rs", "");
        write(
            "Makefile",
            "t:\n\tcargo test -p hilrig-one --test there --test gone\n\tcargo build -p hilrig-two\n",
        );
        let found = missing_targets(folder.path(), &["Makefile".to_owned()]);
        assert_eq!(
            found,
            [
                "Makefile:2: hilrig-one has no test gone",
                "Makefile:3: there is no package hilrig-two"
            ]
        );
    }
}
