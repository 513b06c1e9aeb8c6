//! The documentation against the repository: every link, path, command, make target and key in it is there.

use hilrig_tests::artifacts::hilrig;
use hilrig_tests::docs::commands::{Helps, missing_targets, refused};
use hilrig_tests::docs::markdown::Document;
use hilrig_tests::docs::pictures::{PICTURES, Picture};
use hilrig_tests::docs::{cargo, files, keys, links, names, pages, root};

fn nothing_in(found: &[String]) {
    assert!(found.is_empty(), "{}\n", found.join("\n"));
}

/// Pages that describe what is. The changelog tells what was, too: its paths may be gone.
fn current() -> Vec<Document> {
    pages(&root()).into_iter().filter(|page| page.path != "CHANGELOG.md").collect()
}

#[test]
fn every_link_leads_somewhere() {
    nothing_in(&links::broken(&root(), &pages(&root())));
}

#[test]
fn every_path_exists() {
    nothing_in(&links::missing_paths(&root(), &current()));
}

#[test]
fn every_page_that_a_source_names_exists() {
    let endings =
        [".rs", ".toml", ".c", ".h", ".py", ".sh", ".yml", ".cpp", ".ld", ".snap", "Makefile"];
    let sources = files(&root(), &endings);
    nothing_in(&links::missing_pages(&root(), &sources));
}

#[test]
fn every_test_that_is_named_exists() {
    nothing_in(&links::missing_tests(&root(), &current()));
}

#[test]
fn every_command_is_accepted() {
    nothing_in(&refused(&mut Helps::of(hilrig()), &current()));
}

#[test]
fn every_command_is_listed() {
    let pages = current();
    let page = pages.iter().find(|page| page.path == "docs/reference/cli.md");
    let listed = page.expect("the reference has this page").spans();
    let mut lacking = Helps::of(hilrig()).commands();
    lacking.retain(|command| !listed.iter().any(|(_, span)| *span == format!("hilrig {command}")));
    // `hilrig heap` only has subcommands.
    lacking.retain(|command| command != "heap");
    nothing_in(&lacking);
}

#[test]
fn every_make_target_exists() {
    nothing_in(&missing_targets(&root(), &current()));
}

#[test]
fn every_package_and_test_that_cargo_is_given_exists() {
    let files = files(&root(), &[".md", "Makefile", ".yml", ".sh"]);
    nothing_in(&cargo::missing_targets(&root(), &files));
}

#[test]
fn every_key_exists() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(root().join(name)).expect("a file of the repository");
        keys::sections(&text)
    };
    let (config, contract) = (read("runner-config.toml"), read("firmware/contract.toml"));
    let pages = current();
    let mut found: Vec<String> =
        pages.iter().flat_map(|page| keys::unknown(page, &[&config, &contract])).collect();
    for (path, file) in [("configuration", &config), ("contract", &contract)] {
        let path = format!("docs/reference/{path}.md");
        let page = pages.iter().find(|page| page.path == path);
        found.extend(keys::differences(page.expect("the reference has this page"), file));
    }
    nothing_in(&found);
}

#[test]
fn the_pictures_are_current() {
    for Picture { path, draw } in PICTURES {
        let there = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(there == draw(&root()), "{path} is out of date: run `make pictures`");
    }
}

/// The crates with a public API; the binary has none.
const LIBRARIES: [&str; 10] = [
    "broker",
    "harness/boards",
    "harness/certify",
    "harness/core",
    "harness/decode",
    "harness/file",
    "harness/report",
    "harness/rig",
    "harness/virtual",
    "wire",
];

#[test]
fn a_public_type_has_a_name_of_its_own() {
    let declared = names::declared(&root(), &LIBRARIES);
    let page = pages(&root()).into_iter().find(|page| page.path == "ARCHITECTURE.md");
    nothing_in(&names::unexplained(&page.expect("there is ARCHITECTURE.md"), &declared));
}
