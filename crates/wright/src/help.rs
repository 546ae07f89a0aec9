//! `wright help`: the list of commands, one command in detail, or the exit codes; and the screen
//! that `wright` without arguments shows.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::suggest;
use crate::terminal;
use clap::Command;

/// Explain a command or the exit codes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A command, a command and its subcommand, or `exit-codes`
    #[arg(value_name = "COMMAND|exit-codes")]
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
            topics.push("exit-codes".to_owned());
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

  wright help COMMAND, wright help exit-codes

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
    fn every_exit_code_is_in_the_table() {
        let table = exit_codes();
        for exit in Exit::ALL {
            assert!(table.contains(&format!("{:>4}  {}", exit.code(), exit.meaning())));
        }
    }
}
