//! The `/` commands of a chat: what each is called, and what it does in a line.

use crate::cli::suggest;

/// A command, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    System(Option<String>),
    Reset,
    Save(String),
    Load(String),
    /// Without a name and value: show what is set.
    Set(Option<(String, String)>),
    Stats,
    Retry,
    Edit,
    Exit,
}

/// Names, arguments and purpose, in the order of `/help`.
pub const TABLE: [(&str, &str, &str); 10] = [
    ("help", "", "show this list"),
    ("system", "[TEXT]", "set the system prompt; without TEXT, show it"),
    ("reset", "", "start over with the same system prompt"),
    ("save", "FILE", "write the conversation to a file"),
    ("load", "FILE", "load a saved conversation and continue it"),
    (
        "set",
        "[NAME VALUE]",
        "set a sampling option, such as temperature 0.5; without arguments, show all",
    ),
    ("stats", "", "turn statistics after each answer on or off"),
    ("retry", "", "answer the last message again"),
    ("edit", "", "edit the last message in your editor and ask it again"),
    ("exit", "", "exit (also Ctrl-D, or Ctrl-C twice)"),
];

/// Reads a line that starts with `/`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_start_matches('/');
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let file = |what: &str| match rest {
        "" => Err(format!("/{what} needs a file name: /{what} talk.json")),
        path => Ok(path.to_owned()),
    };
    match name {
        "help" | "?" => Ok(Command::Help),
        "system" => Ok(Command::System((!rest.is_empty()).then(|| rest.to_owned()))),
        "reset" => Ok(Command::Reset),
        "save" => file("save").map(Command::Save),
        "load" => file("load").map(Command::Load),
        "set" if rest.is_empty() => Ok(Command::Set(None)),
        "set" => match rest.split_once(char::is_whitespace) {
            Some((name, value)) => {
                Ok(Command::Set(Some((name.to_owned(), value.trim().to_owned()))))
            }
            None => Err(format!("/set {rest} needs a value: /set temperature 0.5")),
        },
        "stats" => Ok(Command::Stats),
        "retry" => Ok(Command::Retry),
        "edit" => Ok(Command::Edit),
        "exit" | "quit" | "bye" => Ok(Command::Exit),
        other => Err(match suggest::closest(other, TABLE.iter().map(|(name, ..)| *name), 2) {
            Some(close) => format!("unknown command /{other}; did you mean /{close}?"),
            None => format!("unknown command /{other}; /help lists the commands"),
        }),
    }
}

/// What `/help` shows.
pub fn help() -> String {
    let rows = TABLE.iter().map(|(name, arguments, does)| {
        let call = format!("/{name} {arguments}");
        format!("  {call:20} {does}\n")
    });
    let rows: String = rows.collect();
    format!(
        "{rows}\n  Alt-Enter, or \\ at the end of a line, starts a new line;\n  \
         \"\"\" starts and ends a multi-line message. Ctrl-C stops an answer.\n  \
         Type // to start a message with a slash.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_is_understood() {
        for (name, ..) in TABLE {
            assert!(parse(&format!("/{name} temperature 1")).is_ok(), "{name}");
            assert!(help().contains(&format!("/{name}")));
        }
    }

    #[test]
    fn arguments_and_mistakes() {
        assert_eq!(parse("/system be  brief "), Ok(Command::System(Some("be  brief".into()))));
        assert_eq!(parse("/system"), Ok(Command::System(None)));
        let set = Command::Set(Some(("top_k".into(), "5".into())));
        assert_eq!(parse("/set top_k 5"), Ok(set));
        assert!(parse("/set top_k").unwrap_err().contains("value"));
        assert!(parse("/save").unwrap_err().contains("file"));
        assert!(parse("/rest").unwrap_err().contains("/reset"));
        assert!(parse("/xyzzy").unwrap_err().contains("/help"));
    }
}
