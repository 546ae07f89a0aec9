//! Every sampler option, defined once: the flags of `run` and `chat`, `-o NAME VALUE`, `/set` in a
//! chat and the help texts all come from the table here.
//!
//! Ranges are checked by the model that gets the options; here a value is only read.

use crate::cli::failure::Failure;
use crate::cli::suggest;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;
use wright_chat::Options;

/// One option: its name as a flag, what its value looks like, what it does.
pub struct Definition {
    pub name: &'static str,
    value: &'static str,
    pub help: &'static str,
    /// What holds where neither the request nor the model sets it.
    pub unset: &'static str,
    set: fn(&mut Options, &str) -> Option<()>,
}

/// In the order in which help shows them.
pub const TABLE: [Definition; 12] = [
    Definition {
        name: "temperature",
        value: "N",
        help: "Sampling temperature: 0 always picks the most likely token, higher is more varied",
        unset: "0.7",
        set: |options, text| read(&mut options.temperature, text),
    },
    Definition {
        name: "top-k",
        value: "N",
        help: "Sample from the N most likely tokens; 0 disables",
        unset: "40",
        set: |options, text| read(&mut options.top_k, text),
    },
    Definition {
        name: "top-p",
        value: "P",
        help: "Sample from the most likely tokens that together reach probability P; 1 disables",
        unset: "0.95",
        set: |options, text| read(&mut options.top_p, text),
    },
    Definition {
        name: "min-p",
        value: "P",
        help: "Drop tokens less than P times as likely as the most likely one; 0 disables",
        unset: "0.05",
        set: |options, text| read(&mut options.min_p, text),
    },
    Definition {
        name: "repetition-penalty",
        value: "N",
        help: "Divide the logits of recent tokens by N; 1 disables",
        unset: "1",
        set: |options, text| read(&mut options.repetition_penalty, text),
    },
    Definition {
        name: "presence-penalty",
        value: "N",
        help: "Subtract N from the logit of each recent token; 0 disables",
        unset: "0",
        set: |options, text| read(&mut options.presence_penalty, text),
    },
    Definition {
        name: "frequency-penalty",
        value: "N",
        help: "Subtract N times its count from the logit of each recent token; 0 disables",
        unset: "0",
        set: |options, text| read(&mut options.frequency_penalty, text),
    },
    Definition {
        name: "penalty-window",
        value: "N",
        help: "Number of recent tokens that the penalties consider",
        unset: "64",
        set: |options, text| read(&mut options.penalty_window, text),
    },
    Definition {
        name: "logit-bias",
        value: "ID=N",
        help: "Add N to the logit of token ID; repeatable",
        unset: "none",
        set: set_logit_bias,
    },
    Definition {
        name: "seed",
        value: "N",
        help: "Random seed; the same seed, prompt and options give the same answer",
        unset: "random",
        set: |options, text| read(&mut options.seed, text),
    },
    Definition {
        name: "max-tokens",
        value: "N",
        help: "Generate at most N tokens",
        unset: "until the context is full",
        set: |options, text| read(&mut options.max_tokens, text),
    },
    Definition {
        name: "stop",
        value: "TEXT",
        help: "Stop before TEXT would appear; repeatable",
        unset: "none",
        set: |options, text| {
            options.stop.push(text.to_owned());
            Some(())
        },
    },
];

fn read<T: FromStr>(field: &mut Option<T>, text: &str) -> Option<()> {
    *field = Some(text.trim().parse().ok()?);
    Some(())
}

fn set_logit_bias(options: &mut Options, text: &str) -> Option<()> {
    let (id, bias) = text.split_once(['=', ':'])?;
    options.logit_bias.insert(id.trim().parse().ok()?, bias.trim().parse().ok()?);
    Some(())
}

/// Sets the option called `name` (with `-` or `_`) to what `text` says.
///
/// # Errors
/// If there is no such option or the text is not a value of it.
pub fn set(options: &mut Options, name: &str, text: &str) -> Result<(), Failure> {
    let dashed = name.replace('_', "-").to_lowercase();
    let Some(definition) = TABLE.iter().find(|definition| definition.name == dashed) else {
        let failure = Failure::usage(format!("unknown option '{name}'"));
        let names = TABLE.iter().map(|definition| definition.name);
        return Err(match suggest::closest(&dashed, names.clone(), 3) {
            Some(close) => failure.hint(format!("did you mean {close}?")),
            None => failure.hint(format!("options: {}", names.collect::<Vec<_>>().join(", "))),
        });
    };
    (definition.set)(options, text).ok_or_else(|| {
        let what = format!("option {}: '{text}' is not a valid {}", dashed, definition.value);
        Failure::usage(what).hint(definition.help)
    })
}

/// The options as flags of a command, to be flattened into its arguments.
#[derive(Debug, Clone, Default)]
pub struct SamplerFlags {
    /// Names and values in the order of the table, then those of `-o`.
    given: Vec<(String, String)>,
}

impl SamplerFlags {
    /// The options that were given.
    ///
    /// # Errors
    /// For a name or a value that is wrong.
    pub fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::default();
        for (name, value) in &self.given {
            set(&mut options, name, value)?;
        }
        Ok(options)
    }
}

impl clap::FromArgMatches for SamplerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = SamplerFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for definition in &TABLE {
            for value in matches.get_many::<String>(definition.name).into_iter().flatten() {
                self.given.push((definition.name.to_owned(), value.clone()));
            }
        }
        for mut pair in matches.get_occurrences::<String>("option").into_iter().flatten() {
            if let (Some(name), Some(value)) = (pair.next(), pair.next()) {
                self.given.push((name.clone(), value.clone()));
            }
        }
        Ok(())
    }
}

impl clap::Args for SamplerFlags {
    fn augment_args(mut command: Command) -> Command {
        const HEADING: &str = "Sampling options (a model's file may set other defaults)";
        for definition in &TABLE {
            let repeated = matches!(definition.name, "stop" | "logit-bias");
            let flag = Arg::new(definition.name)
                .long(definition.name)
                .value_name(definition.value)
                .help(format!("{} [default: {}]", definition.help, definition.unset))
                .help_heading(HEADING)
                .allow_hyphen_values(true)
                .action(if repeated { ArgAction::Append } else { ArgAction::Set });
            command = command.arg(flag);
        }
        let option = Arg::new("option")
            .short('o')
            .long("option")
            .num_args(2)
            .value_names(["NAME", "VALUE"])
            .allow_hyphen_values(true)
            .action(ArgAction::Append)
            .help_heading(HEADING)
            .help(
                "Set any of these options by name: -o temperature 0.5. Some models have defaults \
                 of their own; --json and /set show the values in use",
            );
        command.arg(option)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// `options` where it sets a value, `defaults` elsewhere.
pub fn or_default(options: &Options, defaults: &Options) -> Options {
    Options {
        temperature: options.temperature.or(defaults.temperature),
        top_k: options.top_k.or(defaults.top_k),
        top_p: options.top_p.or(defaults.top_p),
        min_p: options.min_p.or(defaults.min_p),
        repetition_penalty: options.repetition_penalty.or(defaults.repetition_penalty),
        penalty_window: options.penalty_window.or(defaults.penalty_window),
        presence_penalty: options.presence_penalty.or(defaults.presence_penalty),
        frequency_penalty: options.frequency_penalty.or(defaults.frequency_penalty),
        ..options.clone()
    }
}

/// The options with a seed: a fresh one if none was asked for, so that it can be reported and the
/// answer had again.
pub fn with_seed(mut options: Options) -> Options {
    // The standard library keys each hasher from the system's randomness. Half of its 64 bits
    // make a seed that a person can copy.
    let fresh = || std::hash::RandomState::new().build_hasher().finish() >> 32;
    options.seed.get_or_insert_with(fresh);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_seed_is_kept_or_made() {
        let asked = Options { seed: Some(3), ..Options::default() };
        assert_eq!(with_seed(asked).seed, Some(3));
        let made = [with_seed(Options::default()).seed, with_seed(Options::default()).seed];
        assert!(made[0].is_some() && made[0] != made[1]);
    }

    #[test]
    fn the_defaults_in_help_are_those_of_the_sampler() {
        let sampling = wright_run::Sampling::default().to_options();
        let value = serde_json::to_value(&sampling).unwrap();
        for definition in &TABLE[..8] {
            let shown: f64 = definition.unset.parse().unwrap();
            let is = value[definition.name.replace('-', "_")].as_f64().unwrap();
            assert!((shown - is).abs() < 1e-6, "{}: {shown}, {is}", definition.name);
        }
        let asked = Options { top_k: Some(5), ..Options::default() };
        let used = or_default(&asked, &sampling);
        assert_eq!((used.top_k, used.temperature), (Some(5), Some(0.7)));
    }

    #[test]
    fn every_option_can_be_set_by_name() {
        let mut options = Options::default();
        for definition in &TABLE {
            let value = if definition.value == "ID=N" { "7=-1.5" } else { "1" };
            set(&mut options, definition.name, value).unwrap();
        }
        assert_eq!(options.temperature, Some(1.0));
        assert_eq!(options.penalty_window, Some(1));
        assert_eq!(options.logit_bias[&7], -1.5);
        assert_eq!(options.stop, ["1"]);
        let unset = Options::default();
        assert_ne!(options.seed, unset.seed);
        assert_ne!(options.max_tokens, unset.max_tokens);
    }

    #[test]
    fn a_wrong_name_or_value_says_what_would_be_right() {
        let mut options = Options::default();
        set(&mut options, "top_p", "0.5").unwrap();
        let name = set(&mut options, "temprature", "1").unwrap_err();
        assert_eq!(name.exit, Exit::Usage);
        assert_eq!(name.hint.as_deref(), Some("did you mean temperature?"));
        let value = set(&mut options, "top_k", "many").unwrap_err();
        assert!(value.what.contains("top-k") && value.what.contains("many"));
        assert!(set(&mut options, "logit-bias", "7").is_err());
    }
}
