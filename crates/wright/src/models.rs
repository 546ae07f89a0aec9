//! `wright models`: what is here, what can be fetched, what answers when none is named.

use crate::catalogue::Entry;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::{self, Located, Meaning};
use crate::settings::Settings;
use crate::{terminal, units};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// List, show, remove models; choose the default
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Models that are here or can be fetched
    List,
    /// All that is known of one
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Delete a model's file
    #[command(alias = "rm")]
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say or choose which model answers when none is named
    Default {
        #[arg(value_name = "NAME|FILE")]
        name: Option<String>,
    },
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        None | Some(Action::List) => list(context, args.json),
        Some(Action::Show { name }) => show(context, name, args.json),
        Some(Action::Remove { name }) => remove(context, name),
        Some(Action::Default { name: None }) => {
            let (name, from) = context.default_model();
            let text = match args.json {
                true => json!({ "name": name, "from": from }).to_string(),
                false => format!("{name} ({from})"),
            };
            terminal::print(&(text + "\n"))?;
            Ok(Exit::Done)
        }
        Some(Action::Default { name: Some(name) }) => set_default(context, name),
    }
}

/// A line of the list.
struct Row {
    name: String,
    bytes: u64,
    here: bool,
    is_default: bool,
    about: String,
    licence: String,
}

fn rows(context: &Context) -> Vec<Row> {
    let models = &context.home.models;
    let default = context.default_model().0;
    let is_default = |name: &str| match context.catalogue.find(&default) {
        Some(entry) => entry.name == name,
        None => default.eq_ignore_ascii_case(name),
    };
    let known = context.catalogue.entries.iter().map(|entry| Row {
        name: entry.name.clone(),
        bytes: entry.bytes,
        here: locate::is_whole(&models.join(&entry.file), entry.bytes),
        is_default: is_default(&entry.name),
        about: entry.about.clone(),
        licence: entry.licence.clone(),
    });
    let others = locate::kept_files(models).into_iter().filter_map(|path| {
        let file = path.file_name()?.to_string_lossy().into_owned();
        if context.catalogue.entries.iter().any(|entry| entry.file == file) {
            return None;
        }
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some(Row {
            bytes: fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0),
            here: true,
            is_default: is_default(&name),
            about: "put here by you".to_owned(),
            licence: String::new(),
            name,
        })
    });
    known.chain(others).collect()
}

fn list(context: &Context, as_json: bool) -> Result<Exit, Failure> {
    let rows = rows(context);
    if as_json {
        let objects = rows.iter().map(|row| {
            json!({
                "name": row.name,
                "bytes": row.bytes,
                "here": row.here,
                "default": row.is_default,
                "about": row.about,
                "licence": row.licence,
            })
        });
        let text = Value::from_iter(objects).to_string();
        terminal::print(&(text + "\n"))?;
        return Ok(Exit::Done);
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        let mark = if row.is_default { '*' } else { ' ' };
        let state = if row.here { "here" } else { "fetch" };
        let size = units::bytes(row.bytes);
        text += &format!("{mark} {:width$}  {size:>9}  {state:5}  {}\n", row.name, row.about);
    }
    if terminal::print(&text)? {
        terminal::note("* answers when none is named; `wright models default NAME` changes it");
    }
    Ok(Exit::Done)
}

fn show(context: &Context, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let (entry, path) = match locate::meaning(&context.catalogue, &context.home.models, name)? {
        Meaning::Here(Located { entry, path, .. }) => (entry, Some(path)),
        Meaning::Fetchable(entry) => (Some(entry), None),
    };
    let text = match as_json {
        true => json!({ "path": path, "catalogue": entry }).to_string() + "\n",
        false => shown(entry.as_ref(), path.as_deref()),
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

fn shown(entry: Option<&Entry>, path: Option<&Path>) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(entry) = entry {
        rows.push(("name", entry.name.clone()));
        rows.push(("aliases", entry.aliases.join(", ")));
        rows.push(("model", entry.title.clone()));
        rows.push(("about", entry.about.clone()));
        rows.push(("size", units::bytes(entry.bytes)));
        rows.push(("licence", format!("{} ({})", entry.licence, entry.licence_note)));
        rows.push(("sha-256", entry.sha256.clone()));
        let sources: Vec<String> = entry.sources.iter().map(|source| source.describe()).collect();
        rows.push(("from", sources.join(", then ")));
    }
    match path {
        Some(path) => rows.push(("file", path.display().to_string())),
        None => rows.push(("file", "not here yet; fetched when it is first used".to_owned())),
    }
    rows.iter().map(|(key, value)| format!("{key:8} {value}\n")).collect()
}

fn remove(context: &Context, name: &str) -> Result<Exit, Failure> {
    let models = &context.home.models;
    let path = match locate::meaning(&context.catalogue, models, name)? {
        Meaning::Here(located) => located.path,
        Meaning::Fetchable(entry) => {
            return Err(Failure::new(Exit::NotFound, format!("{} is not here", entry.name))
                .hint("`wright models` says which are"));
        }
    };
    if path.parent() != Some(models) {
        let what = format!("{} is not in Wright's folder of models", path.display());
        return Err(Failure::usage(what).hint("delete the file yourself if you want it gone"));
    }
    let bytes = fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0);
    fs::remove_file(&path).map_err(|error| Failure::io("remove", &path, &error))?;
    terminal::note(&format!("removed {}: {} free", path.display(), units::bytes(bytes)));
    Ok(Exit::Done)
}

fn set_default(context: &Context, name: &str) -> Result<Exit, Failure> {
    let default = match locate::meaning(&context.catalogue, &context.home.models, name)? {
        Meaning::Fetchable(entry) => entry.name,
        Meaning::Here(located) if located.path.parent() == Some(&context.home.models) => located.id,
        // A file elsewhere: its path must mean the same from any folder.
        Meaning::Here(located) => {
            let path = &located.path;
            let full = fs::canonicalize(path).map_err(|error| Failure::io("find", path, &error))?;
            full.to_string_lossy().into_owned()
        }
    };
    let settings = Settings { default_model: Some(default.clone()), ..context.settings.clone() };
    settings.write(&context.home.settings)?;
    terminal::note(&format!("{default} answers from now on when no model is named"));
    Ok(Exit::Done)
}
