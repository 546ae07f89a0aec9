//! README's table of families is that of the code.

use wright_model::config::{FAMILIES, Kind};

const BEGIN: &str = "<!-- families: printed by the test `readme` of wright-model -->\n";
const END: &str = "<!-- families end -->\n";

fn table() -> String {
    let mut table = String::from("| architecture | models | state |\n|---|---|---|\n");
    for family in FAMILIES {
        let state = match (family.verified, family.kind) {
            (false, _) => "unverified",
            (true, Kind::Encoder) => "verified, embeddings",
            (true, Kind::Decoder) => "verified",
        };
        table += &format!("| `{}` | {} | {state} |\n", family.name, family.models);
    }
    table
}

#[test]
fn readme_has_the_families_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let begin = readme.find(BEGIN).expect("a mark before the table") + BEGIN.len();
    let end = readme.find(END).expect("a mark after the table");
    assert!(readme[begin..end] == table(), "README wants this table:\n{}", table());
}
