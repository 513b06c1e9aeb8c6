use super::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is read, not used")]
struct File {
    schema: Spanned<u32>,
    time: crate::units::Span,
    place: Place,
    #[serde(default, rename = "board")]
    boards: Vec<Spanned<Board>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is read, not used")]
struct Board {
    name: Spanned<String>,
    kind: Sort,
    baud: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "it is read, not used")]
struct Place {
    folder: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Virtual,
    Real,
}

fn errors(text: &str) -> Vec<String> {
    let reading = read::<File>(Path::new("f.toml"), text);
    reading.errors.iter().map(|error| error.to_string()).collect()
}

#[test]
fn all_that_is_wrong_is_reported_at_once_with_line_key_and_what_was_meant() {
    let text = "schema = \"1\"\ntime = 10\ncolour = 1\n\n[place]\nfoldr = \"x\"\n\n[[board]]\nname = \"a\"\nkind = \"virtaul\"\nbaud = -1\n\n[[board]]\nkind = \"real\"\nnmae = \"b\"\n";
    let errors = errors(text);
    let starts: Vec<&str> = errors.iter().map(|e| e.split('\n').next().unwrap()).collect();
    insta::assert_snapshot!(starts.join("\n"), @r#"
    f.toml:1: `schema`: found string "1", expected a whole number that is not negative
    f.toml:2: `time`: found integer `10`, expected a time with its unit in quotes, such as "10 s"
    f.toml:3: unknown key `colour` (`colour`). The keys here are `schema`, `time`, `place`, `board`
    f.toml:6: unknown key `foldr` (`place.foldr`); did you mean `folder`? The keys here are `folder`
    f.toml:10: `board.kind`: `virtaul` is not one of its values; did you mean `virtual`? They are `virtual`, `real`
    f.toml:11: `board.baud`: found integer `-1`, expected a whole number that is not negative
    f.toml:15: unknown key `nmae` (`board.nmae`); did you mean `name`? The keys here are `name`, `kind`, `baud`
    "#);
}

#[test]
fn a_file_without_errors_is_read_and_one_without_anything_lacks_all() {
    let good = "schema = 1\ntime = \"1 s\"\n[place]\nfolder = \"x\"\n";
    let reading = read::<File>(Path::new("f.toml"), good);
    assert!(reading.errors.is_empty() && reading.value.is_some());
    let errors = errors("");
    assert_eq!(errors.len(), 3, "{errors:?}");
    for (error, key) in errors.iter().zip(["`schema`", "`time`", "`place`"]) {
        assert!(error.contains(key) && error.contains("is missing"), "{error}");
    }
}

#[test]
fn what_is_no_toml_and_a_key_of_a_megabyte_are_reported_in_short() {
    assert_eq!(errors("schema = \n[place\n").len(), 2);
    let long = format!("schema = 1\n[place]\n{} = 1\n", "k".repeat(1 << 20));
    assert!(errors(&long).iter().all(|error| error.len() < 1000), "{}", errors(&long)[0].len());
    assert!(errors(&"x = 1\n".repeat(1000)).len() <= MOST);
}
