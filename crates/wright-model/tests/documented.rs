//! The table of architectures in docs/models.md matches the code.

use wright_model::config::{FAMILIES, Kind};

const BEGIN: &str = "<!-- families: printed by the test `documented` of wright-model -->\n";
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
fn the_documented_architectures_match_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/models.md");
    let page = std::fs::read_to_string(path).unwrap();
    let begin = page.find(BEGIN).expect("a marker before the table") + BEGIN.len();
    let end = page.find(END).expect("a marker after the table");
    assert!(page[begin..end] == table(), "docs/models.md needs this table:\n{}", table());
}
