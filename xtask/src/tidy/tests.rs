//! Each rule against a small tree that breaks it and one that does not.

use super::tree::Tree;
use super::{check, source::Source};

const PAGE: &str = "\
| crate | depends on | what |
|---|---|---|
| `wright-kernels` | – | slices |
| `wright-model` | `wright-kernels` | logits |
| `wright` | `wright-model` | the binary |

| modules | verbs | what |
|---|---|---|
| `arguments` | – | the parser |
| `ask` `train` | `ask::run` `ask::chat` `train::plan` | verbs |
| `cli` | – | flags and failures |
";
const KERNELS: &str = "[package]\nname = \"wright-kernels\"\n";
const MODEL: &str =
    "[package]\nname = \"wright-model\"\n[dependencies]\nwright-kernels.workspace = true\n";
const BINARY: &str =
    "[package]\nname = \"wright\"\n[dependencies]\nwright-model = { workspace = true }\n";

/// A tree in order, with `changes` over it; an empty text removes a file.
fn findings(changes: &[(&str, &str)]) -> Vec<String> {
    let mut files = vec![
        ("ARCHITECTURE.md", PAGE),
        ("Cargo.toml", "[workspace.dependencies]\nwright-kernels = { path = \"k\" }\n"),
        ("crates/wright-kernels/Cargo.toml", KERNELS),
        ("crates/wright-kernels/src/lib.rs", "//! Slices.\n"),
        ("crates/wright-model/Cargo.toml", MODEL),
        ("crates/wright-model/src/lib.rs", "#![forbid(unsafe_code)]\n"),
        ("crates/wright/Cargo.toml", BINARY),
        ("crates/wright/src/main.rs", "#![forbid(unsafe_code)]\nmod ask;\nfn main() {}\n"),
        ("crates/wright/src/arguments.rs", "use crate::ask::{chat, run};\n"),
        ("crates/wright/src/ask.rs", "pub mod chat;\npub mod run;\npub mod notes;\n"),
        ("crates/wright/src/ask/chat.rs", "use crate::cli;\n"),
        ("crates/wright/src/ask/run.rs", "use super::notes::x;\n"),
        ("crates/wright/src/ask/notes.rs", "pub fn x() {}\n"),
        ("crates/wright/src/cli.rs", "pub fn fail() {}\n"),
        ("crates/wright/src/train.rs", "pub mod plan;\n"),
        ("crates/wright/src/train/plan.rs", "\n"),
    ];
    for &(path, text) in changes {
        files.retain(|(p, _)| *p != path);
        if !text.is_empty() {
            files.push((path, text));
        }
    }
    check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
}

/// Checks that exactly one finding comes of `changes`, and that it holds all of `wanted`.
#[track_caller]
fn finds_one(changes: &[(&str, &str)], wanted: &[&str]) {
    let found = findings(changes);
    assert_eq!(found.len(), 1, "{found:#?}");
    for part in wanted {
        assert!(found[0].contains(part), "`{part}` is not in: {}", found[0]);
    }
}

#[track_caller]
fn finds_nothing(changes: &[(&str, &str)]) {
    assert_eq!(findings(changes), Vec::<String>::new());
}

const LIB: &str = "crates/wright-model/src/lib.rs";
const OTHER: &str = "crates/wright-model/src/gguf.rs";

#[test]
fn a_tree_in_order_has_no_findings() {
    finds_nothing(&[]);
}

#[test]
fn an_arrow_that_the_table_lacks_is_found_at_its_line() {
    let manifest = format!("{KERNELS}[dependencies]\n\nwright-model.workspace = true\n");
    let found = findings(&[("crates/wright-kernels/Cargo.toml", &manifest)]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("crates/wright-kernels/Cargo.toml:5: "), "{}", found[0]);
    assert!(found[0].contains("`wright-kernels` may not depend on `wright-model`"));
}

#[test]
fn an_arrow_that_only_the_table_has_is_found() {
    let manifest = "[package]\nname = \"wright-model\"\n";
    let wanted = ["ARCHITECTURE.md:4", "`wright-model` depends on `wright-kernels`; it does not"];
    finds_one(&[("crates/wright-model/Cargo.toml", manifest)], &wanted);
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
    let manifest = "[package]\nname = \"wright-stray\"\n";
    let wanted = ["crates/wright-stray/Cargo.toml:1", "no row"];
    finds_one(&[("crates/wright-stray/Cargo.toml", manifest)], &wanted);
    let page = PAGE.replace("\n\n", "\n| `wright-gone` | – | away |\n\n");
    finds_one(&[("ARCHITECTURE.md", &page)], &["ARCHITECTURE.md:6", "no such crate"]);
    let found = findings(&[("ARCHITECTURE.md", "# Rooms\n")]);
    assert!(found.iter().any(|violation| violation.contains("no table")), "{found:#?}");
}

#[test]
fn dependencies_of_tests_are_free_but_close_no_circle() {
    let free = format!("{BINARY}[dev-dependencies]\nwright-kernels.workspace = true\n");
    finds_nothing(&[("crates/wright/Cargo.toml", &free)]);
    let circle = format!("{KERNELS}[dev-dependencies]\nwright.workspace = true\n");
    let wanted = ["a circle", "wright-kernels/Cargo.toml:4"];
    finds_one(&[("crates/wright-kernels/Cargo.toml", &circle)], &wanted);
}

#[test]
fn dependencies_come_from_the_workspace() {
    for (list, line) in [
        ("[dependencies]\nhalf = \"2\"\n", 4),
        ("[dependencies]\nhalf = { version = \"2\", default-features = false }\n", 4),
        ("[dependencies.half]\nversion = \"2\"\n", 3),
        ("[dev-dependencies]\nhalf = \"2\"\n", 4),
        ("[target.'cfg(unix)'.dependencies]\nhalf = \"2\"\n", 4),
    ] {
        let manifest = format!("{KERNELS}{list}");
        let place = format!("crates/wright-kernels/Cargo.toml:{line}: ");
        let wanted = [place.as_str(), "`half.workspace = true`"];
        finds_one(&[("crates/wright-kernels/Cargo.toml", &manifest)], &wanted);
    }
    let lists = "[dependencies]\nhalf = { workspace = true, features = [\n  \"std\", # a\n] }\n\
                 [dev-dependencies.serde]\nworkspace = true\n";
    let manifest = format!("{KERNELS}{lists}");
    finds_nothing(&[("crates/wright-kernels/Cargo.toml", &manifest)]);
}

#[test]
fn each_dependency_of_the_workspace_says_why() {
    let list = "[workspace.dependencies]\nserde = \"1\" # data\n# rounding\nhalf = \"2\"\n";
    finds_nothing(&[("Cargo.toml", list)]);
    let list = format!("{list}url = \"2\"\n");
    finds_one(&[("Cargo.toml", &list)], &["Cargo.toml:5", "`url` wants a comment"]);
    let list = "[workspace.dependencies]\nx = { version = \"1#\" }\n";
    finds_one(&[("Cargo.toml", list)], &["Cargo.toml:2"]);
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let code = "fn f() { unsafe { g() } }\n";
    finds_one(&[(OTHER, code)], &["gguf.rs:1", "`unsafe` outside"]);
    finds_one(&[("crates/wright-host/src/disk.rs", code)], &["disk.rs:1", "`unsafe` outside"]);
    finds_nothing(&[("crates/wright-kernels/src/avx2.rs", code)]);
    finds_nothing(&[("crates/wright-host/src/mmap.rs", code)]);
    finds_nothing(&[(OTHER, "// unsafe\nfn f() -> &'static str { \"unsafe\" }\n")]);
}

#[test]
fn crate_roots_forbid_unsafe_code() {
    finds_one(&[(LIB, "//! Logits.\n")], &["lib.rs:1", "#![forbid(unsafe_code)]"]);
    let main = "crates/wright/src/main.rs";
    finds_one(&[(main, "fn main() {}\n")], &["main.rs:1", "#![forbid(unsafe_code)]"]);
    let host = "crates/wright-host/src/lib.rs";
    finds_one(&[(host, "//! Files.\n")], &["lib.rs:1", "#![deny(unsafe_code)]"]);
    let allows = "#![deny(unsafe_code)]\n#[allow(unsafe_code)]\npub mod mmap;\n";
    finds_nothing(&[(host, allows)]);
    let allows = "#![deny(unsafe_code)]\n#[allow(unsafe_code)]\nmod lock;\n";
    finds_one(&[(host, allows)], &["lib.rs:2", "`mod mmap` alone"]);
    let allows = "#![forbid(unsafe_code)]\n#[allow(unsafe_code)]\nmod mmap;\n";
    finds_one(&[(main, allows)], &["main.rs:2", "no file that may"]);
}

fn lines(n: usize) -> String {
    "    let x = 1;\n".repeat(n)
}

#[test]
fn functions_fit_a_screen() {
    let at_limit = format!("fn f(x: [u8; 3]) -> [u8; 2] {{\n{}}}\n", lines(68));
    finds_nothing(&[(OTHER, &at_limit)]);
    let over = format!("\n/// Doc.\n#[inline]\nfn f(x: [u8; 3]) {{\n{}}}\n", lines(69));
    finds_one(&[(OTHER, &over)], &["gguf.rs:4", "`f` has 71 lines"]);
    let marked = over.replace("/// Doc.", "/// Doc.\n// tidy: long: a table");
    finds_nothing(&[(OTHER, &marked)]);
    let hidden =
        format!("fn f() {{\n    let s = \"}}\";\n    let c = '}}'; // }}\n{}}}\n", lines(69));
    finds_one(&[(OTHER, &hidden)], &["`f` has 73 lines"]);
    let types = format!("type F = fn(u8);\ntrait T {{\n    fn g();\n{}}}\n", lines(80));
    finds_nothing(&[(OTHER, &types)]);
}

#[test]
fn files_are_not_endless() {
    finds_nothing(&[(OTHER, &"const A: u8 = 1;\n".repeat(600))]);
    let long = "const A: u8 = 1;\n".repeat(601);
    finds_one(&[(OTHER, &long)], &["gguf.rs:1", "the file has 601 lines"]);
    finds_nothing(&[(OTHER, &format!("//! A table.\n// tidy: long: one row each\n{long}"))]);
    finds_one(&[("xtask/peers/dump.cpp", &"int a;\n".repeat(601))], &["dump.cpp:1", "601 lines"]);
}

#[test]
fn lines_fit_a_hundred_columns() {
    let at_limit = format!("// {}\n", "é".repeat(97));
    finds_nothing(&[(OTHER, &at_limit)]);
    let over = format!("\n// {}\n", "é".repeat(98));
    finds_one(&[(OTHER, &over)], &["gguf.rs:2", "101 characters"]);
    finds_nothing(&[(OTHER, &format!("// tidy: wide: a test vector{over}"))]);
    finds_nothing(&[("notes.md", &over)]);
}

#[test]
fn exceptions_are_known_reasoned_and_needed() {
    finds_one(&[(OTHER, "// tidy: long:\n")], &["gguf.rs:1", "wants a reason"]);
    finds_one(&[(OTHER, "\n// tidy: ugly: it is\n")], &["gguf.rs:2", "no rule `ugly`"]);
    let unneeded = "// tidy: long: it was\nfn f() {}\n";
    finds_one(&[(OTHER, unneeded)], &["gguf.rs:1", "excepts nothing"]);
}

#[test]
fn names_say_what_they_hold() {
    for name in ["utils", "common", "helpers", "misc", "types"] {
        let path = format!("crates/wright-model/src/{name}.rs");
        finds_one(&[(&path, "const A: u8 = 1;\n")], &[&path, "names nothing"]);
        let path = format!("crates/wright-model/tests/{name}/mod.rs");
        finds_one(&[(&path, "const A: u8 = 1;\n")], &[&path, "names nothing"]);
        let code = format!("mod {name} {{}}\n");
        finds_one(&[(OTHER, &code)], &["gguf.rs:1", "names nothing"]);
    }
    finds_nothing(&[("crates/wright-model/src/dtypes.rs", "const A: u8 = 1;\n")]);
}

#[test]
fn nothing_unfinished_is_left_in() {
    finds_one(&[(OTHER, "fn f() {\n    todo!()\n}\n")], &["gguf.rs:2", "`todo!`"]);
    finds_one(&[(OTHER, "fn f() { unimplemented!() }\n")], &["`unimplemented!`"]);
    finds_one(&[(OTHER, "fn f() { dbg!(1); }\n")], &["`dbg!`"]);
    finds_one(&[(OTHER, "#[test]\n#[ignore]\nfn f() {}\n")], &["gguf.rs:2", "ignored"]);
    finds_one(&[(OTHER, "/* a\nTODO */\n")], &["gguf.rs:2", "`TODO`"]);
    finds_one(&[("tool.py", "x = 1  # FIXME\n")], &["tool.py:1", "`FIXME`"]);
    finds_nothing(&[(OTHER, "// a TODOS list\nfn f() { let _ = (\"TODO\", \"dbg!(1)\"); }\n")]);
}

#[test]
fn no_file_names_a_home() {
    for home in ["home/ada/x", "Users/ada", "root/.cache"] {
        let text = format!("see /{home} there\n");
        finds_one(&[("README.md", &text)], &["README.md:1", "one machine only"]);
    }
    finds_one(&[(OTHER, "// C:\\Users\\ada\n")], &["gguf.rs:1"]);
    let fine = "see https://example.org/home/page, ${HOME}/x, the crate_root/ and /home/ itself\n";
    finds_nothing(&[("README.md", fine)]);
}

#[test]
fn libraries_do_no_io() {
    for (code, what) in [
        ("use std::fs;\n", "`fs`"),
        ("use std::{io::{self, fs}, sync::Arc, net};\n", "`net`"),
        ("fn f() { let x = std::env::var(\"A\"); }\n", "`env`"),
        ("use std::time::{Duration, Instant};\n", "`Instant`"),
        ("fn f() { println!(); }\n", "`println`"),
        ("fn f() { std::io::stdout().flush(); }\n", "`stdout`"),
        ("fn f() { std::process::abort() }\n", "`process`"),
    ] {
        finds_one(&[(OTHER, code)], &["gguf.rs:1", "wright-model does no I/O", what]);
    }
    finds_nothing(&[("crates/wright-kernels/src/pool.rs", "fn f() { std::process::abort() }\n")]);
    finds_nothing(&[("crates/wright/src/cli/files.rs", "use std::fs;\n")]);
    let page = format!("{PAGE}\n- Files, the network and\n  clocks are for `wright-model`.\n");
    let allowed = ("ARCHITECTURE.md", page.as_str());
    finds_nothing(&[allowed, (OTHER, "use std::{fs, time::Instant};\n")]);
    finds_one(&[allowed, (OTHER, "fn f() { println!(); }\n")], &["gguf.rs:1", "`println`"]);
    finds_nothing(&[(OTHER, "use std::{io::Read, sync::fs};\nfn f(env: u8) { g(env!(\"A\")) }\n")]);
}

#[test]
fn an_arrow_between_wings_points_down() {
    let up = "use crate::ask::notes;\n";
    let wanted = ["cli.rs:1", "`cli` may not name `ask`", "above"];
    finds_one(&[("crates/wright/src/cli.rs", up)], &wanted);
    let inline = "fn f() { crate::ask::notes::x() }\n";
    let wanted = ["plan.rs:1", "`train` may not name `ask`", "beside"];
    finds_one(&[("crates/wright/src/train/plan.rs", inline)], &wanted);
    let test = "#[cfg(test)]\nmod tests {\n    use crate::arguments;\n}\n";
    finds_nothing(&[("crates/wright/src/train/plan.rs", test)]);
}

#[test]
fn no_verb_names_another() {
    for code in ["use super::chat;\n", "use crate::ask::{chat::x, notes};\n"] {
        let wanted = ["run.rs:1", "`ask::run` may not name `ask::chat`"];
        finds_one(&[("crates/wright/src/ask/run.rs", code)], &wanted);
    }
    let notes = [("crates/wright/src/ask/notes.rs", "use super::chat::y;\n")];
    finds_one(&notes, &["notes.rs:1", "`ask::notes` may not name `ask::chat`"]);
    let own = [
        ("crates/wright/src/ask/chat.rs", "mod lines;\nuse lines::Line;\n"),
        ("crates/wright/src/ask/chat/lines.rs", "use super::z;\n"),
    ];
    finds_nothing(&own);
}

#[test]
fn every_module_of_the_binary_has_a_place_and_every_place_a_module() {
    let stray = [("crates/wright/src/stray.rs", "\n")];
    finds_one(&stray, &["stray.rs:1", "no place in the table of wings"]);
    let page = PAGE.replace("`ask::chat`", "`ask::talk` `ask::chat`");
    finds_one(&[("ARCHITECTURE.md", &page)], &["ARCHITECTURE.md:10", "`ask::talk`"]);
}

const KERNELS_ROOT: &str = "crates/wright-kernels/src/lib.rs";

#[test]
fn files_form_no_circle() {
    let one = ("crates/wright-kernels/src/one.rs", "use crate::two::Two;\n");
    let back = ("crates/wright-kernels/src/two.rs", "use super::one::One;\n");
    let wanted = ["one.rs:1", "a circle of files: one → two → one"];
    finds_one(&[one, back], &wanted);
    let away = ("crates/wright-kernels/src/two.rs", "pub struct Two;\n");
    finds_nothing(&[one, away]);
    // Through a name that the root passes on.
    let root = (KERNELS_ROOT, "mod one;\nmod two;\npub use one::One;\n");
    let back = ("crates/wright-kernels/src/two.rs", "use crate::One;\n");
    finds_one(&[root, one, back], &wanted);
    // A name of the root itself is a parent's.
    let root = (KERNELS_ROOT, "mod one;\nmod two;\npub struct One;\n");
    finds_nothing(&[root, one, back]);
    // Through a child, and back to what declares it.
    let child = ("crates/wright-kernels/src/one/deep.rs", "use crate::two::Two;\n");
    let one = ("crates/wright-kernels/src/one.rs", "mod deep;\n");
    let back = ("crates/wright-kernels/src/two.rs", "use crate::one;\n");
    finds_one(&[one, child, back], &["a circle of files", "one::deep"]);
    let test = "#[cfg(test)]\nmod tests {\n    use crate::one;\n}\n";
    finds_nothing(&[one, child, ("crates/wright-kernels/src/two.rs", test)]);
}

#[test]
fn a_circle_may_be_argued_for_where_there_is_one() {
    let one = ("crates/wright-kernels/src/one.rs", "use crate::two::Two;\n");
    let marked = "// tidy: circle: each is half of the other\nuse super::one::One;\n";
    let two = "crates/wright-kernels/src/two.rs";
    finds_nothing(&[one, (two, marked)]);
    let alone = ("crates/wright-kernels/src/one.rs", "pub struct One;\n");
    finds_one(&[alone, (two, marked)], &["two.rs:1", "excepts nothing"]);
}

#[test]
fn tests_may_do_io() {
    let uses = "use std::fs;\n";
    finds_nothing(&[("crates/wright-model/tests/golden.rs", uses)]);
    finds_nothing(&[("crates/wright-model/src/gguf/tests.rs", uses)]);
    finds_nothing(&[(OTHER, "#[cfg(test)]\n#[allow(unused)]\nmod tests {\n    use std::fs;\n}\n")]);
    finds_nothing(&[(OTHER, "#[test]\nfn f() { std::fs::read(\"a\"); }\n")]);
    let declared = [(OTHER, "#[cfg(test)]\nmod golden;\n"), GOLDEN];
    finds_nothing(&declared);
    let live = [(OTHER, "#[cfg(not(test))]\nmod golden;\n"), GOLDEN];
    finds_one(&live, &["golden.rs:1", "`fs`"]);
    let after = "#[cfg(test)]\nmod tests {}\nuse std::fs;\n";
    finds_one(&[(OTHER, after)], &["gguf.rs:3"]);
}

const GOLDEN: (&str, &str) = ("crates/wright-model/src/gguf/golden.rs", "use std::fs;\n");

#[test]
fn the_scanner_knows_strings_characters_lifetimes_and_comments() {
    let text = r####"let a = b"x\"y"; let b = r#"q " q"#; let c = '\''; let d: &'a str = 'é';
/* one /* two */ still */ let e = r#type; '\u{1F600}' // end
"####;
    let source = Source::scan("a.rs", text);
    let words: Vec<&str> = source.tokens.iter().map(|t| t.text).collect();
    let wanted = "let a = \" ; let b = \" ; let c = ; let d : & str = ; let e = type ;";
    assert_eq!(words, wanted.split(' ').collect::<Vec<_>>());
    let comments: Vec<(usize, &str)> = source.comments.iter().map(|c| (c.line, c.text)).collect();
    assert_eq!(comments, [(2, "/* one /* two */ still */"), (2, " end")]);
    assert_eq!(source.tokens.last().map(|t| t.line), Some(2));
}

#[test]
fn an_optional_dependency_of_the_binary_is_part_of_full_and_no_default() {
    let manifest = |features: &str| {
        let sandbox = "wright-model = { workspace = true, optional = true }";
        format!("[package]\nname = \"wright\"\n[features]\n{features}\n[dependencies]\n{sandbox}\n")
    };
    for good in [
        "full = [\"dep:wright-model\"]",
        "full = [\"models\"]\nmodels = [\n  \"dep:wright-model\",\n]",
    ] {
        finds_nothing(&[("crates/wright/Cargo.toml", &manifest(good))]);
    }
    let bad = manifest("full = []\nmodels = [\"dep:wright-model\"]");
    let wanted = ["`wright-model` is optional, but not part of `full`"];
    finds_one(&[("crates/wright/Cargo.toml", &bad)], &wanted);
    let bad = manifest("default = [\"full\"]\nfull = [\"dep:wright-model\"]");
    finds_one(&[("crates/wright/Cargo.toml", &bad)], &["leave `default` out"]);
}

#[test]
fn misspellings_are_found_with_the_right_word() {
    finds_one(&[(LIB, "#![forbid(unsafe_code)]\n// We recieve it.\n")], &["lib.rs:2", "receive"]);
    finds_one(&[("README.md", "Fine.\n\nIt occured.\n")], &["README.md:3", "occurred"]);
    let message = "#![forbid(unsafe_code)]\nconst A: &str = \"a long \\\n    adress here\";\n";
    finds_one(&[(LIB, message)], &["lib.rs:3", "address"]);
    let fine = "#![forbid(unsafe_code)]\n// `recieve` is a name, as is a/recieve, and HashMapp.\n";
    finds_nothing(&[(LIB, fine), ("LOG.md", "It occured.\n")]);
}

#[test]
fn private_words_are_found_with_plain_ones() {
    finds_one(&[("README.md", "How to mend it.\n")], &["README.md:1", "`mend`", "fix"]);
    finds_one(&[("README.md", "It writes ten tokens a\nsecond.\n")], &["tokens per second"]);
    finds_one(&[("README.md", "That is no folder.\n")], &["is not a folder"]);
    finds_nothing(&[("README.md", "There is no folder, and it is no longer than that.\n")]);
    finds_one(&[("README.md", "It is optimised.\n")], &["optimiz"]);
    finds_nothing(&[("README.md", "We amend and optimize it. One a\n\ncore.\n")]);
}

#[test]
fn names_and_test_data_are_not_prose() {
    let text = "#![forbid(unsafe_code)]\nconst A: &str = \"mend\";\n\
                #[cfg(test)]\nmod tests {\n    const B: &str = \"how to mend it\";\n}\n";
    finds_nothing(&[(LIB, text)]);
    let excepted = "#![forbid(unsafe_code)]\n// tidy: prose: a quotation\n// To mend it.\n";
    finds_nothing(&[(LIB, excepted)]);
}

#[test]
fn tests_that_security_names_exist() {
    let page = "| promise | `hostile.rs`: `a_test_that_is_there`, `a_test_that_is_gone` |\n";
    let test = "#![forbid(unsafe_code)]\n#[test]\nfn a_test_that_is_there() {}\n";
    finds_one(&[("SECURITY.md", page), (LIB, test)], &["SECURITY.md:1", "`a_test_that_is_gone`"]);
}
