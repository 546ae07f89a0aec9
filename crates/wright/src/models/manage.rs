//! `wright models`: models on this machine, models to download, and the default model.

mod catalogue;
mod check;
mod disk_use;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::settings::Settings;
use crate::terminal;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use wright_host::units;
use wright_hub::catalogue::Entry;
use wright_hub::find::{self, Located, Meaning};
use wright_hub::other_caches::{self, Found};
use wright_hub::receipt;

/// List, inspect, name and remove models; choose the default
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
    /// List models on this machine, including those of other programs, and models to pull
    List,
    /// List the models that can be pulled by name, with size, memory and licence
    #[command(alias = "catalog")]
    Catalogue,
    /// Show everything known about a model
    Show {
        /// Model name, alias or reference
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show what a model is, whether this machine can run it, and about how fast
    Check {
        /// Model name, or path to a .gguf file
        #[arg(value_name = "NAME|FILE")]
        name: String,
    },
    /// Delete a model's file, or unfinished downloads
    #[command(alias = "rm")]
    Remove {
        /// Model name
        #[arg(value_name = "NAME", required_unless_present = "partial")]
        name: Option<String>,
        /// Delete unfinished downloads
        #[arg(long, conflicts_with = "name")]
        partial: bool,
    },
    /// Show or set the default model
    Default {
        /// The model to use when a command names none; without it, show the current one
        #[arg(value_name = "NAME|FILE")]
        name: Option<String>,
    },
    /// Give a model a short name; without arguments, list them
    Alias {
        /// The short name
        #[arg(value_name = "SHORT")]
        short: Option<String>,
        /// The model that it stands for; without it, show which one that is
        #[arg(value_name = "NAME|REF|FILE")]
        name: Option<String>,
        /// Remove the short name
        #[arg(long, requires = "short", conflicts_with = "name")]
        remove: bool,
    },
    /// Show disk use, shared files, and what removing each model would free
    Du,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        None | Some(Action::List) => list(context, args.json),
        Some(Action::Catalogue) => catalogue::report(context, args.json),
        Some(Action::Show { name }) => show(context, name, args.json),
        Some(Action::Check { name }) => check::main(context, name, args.json),
        Some(Action::Remove { name: Some(name), .. }) => remove(context, name),
        Some(Action::Remove { name: None, .. }) => disk_use::remove_partial(&context.home.models),
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
        Some(Action::Alias { short, name, remove }) => {
            alias(context, short.as_deref(), name.as_deref(), *remove, args.json)
        }
        Some(Action::Du) => disk_use::report(context, args.json),
    }
}

/// A line of the list.
struct Row {
    name: String,
    bytes: u64,
    /// Where it is: "here", another program's name, or "fetch".
    state: &'static str,
    is_default: bool,
    about: String,
    licence: String,
}

fn rows(context: &Context) -> Vec<Row> {
    let known = context.known();
    let default = context.default_model().0;
    let is_default = |name: &str| match context.catalogue.find(&default) {
        Some(entry) => entry.name == name,
        None => default.eq_ignore_ascii_case(name),
    };
    let of_catalogue = context.catalogue.entries.iter().map(|entry| Row {
        name: entry.name.clone(),
        bytes: entry.bytes,
        state: match find::meaning(&known, &entry.name) {
            Ok(Meaning::Here(located)) => located.store.map_or("here", |found| found.store),
            _ => "fetch",
        },
        is_default: is_default(&entry.name),
        about: entry.about.clone(),
        licence: entry.licence.clone(),
    });
    let others = find::kept_files(&context.home.models).into_iter().filter_map(|path| {
        let file = path.file_name()?.to_string_lossy().into_owned();
        if context.catalogue.entries.iter().any(|entry| entry.file == file) {
            return None;
        }
        let name = path.file_stem()?.to_string_lossy().into_owned();
        let about = receipt::of(&context.home.models, &file).unwrap_or_default();
        Some(Row {
            bytes: fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0),
            state: "here",
            is_default: is_default(&name),
            about: match about.reference.as_str() {
                "" => "added by hand".to_owned(),
                reference => reference.to_owned(),
            },
            licence: about.licence,
            name,
        })
    });
    let elsewhere = other_caches::find().into_iter().map(|found| Row {
        is_default: is_default(&found.id),
        about: found.path.display().to_string(),
        bytes: found.bytes,
        state: found.store,
        licence: String::new(),
        name: found.id,
    });
    of_catalogue.chain(others).chain(elsewhere).collect()
}

fn list(context: &Context, as_json: bool) -> Result<Exit, Failure> {
    let rows = rows(context);
    if as_json {
        let objects = rows.iter().map(|row| {
            json!({
                "name": row.name,
                "bytes": row.bytes,
                "here": row.state != "fetch",
                "where": row.state,
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
    let state_width = rows.iter().map(|row| row.state.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        let mark = if row.is_default { '*' } else { ' ' };
        let size = units::bytes(row.bytes);
        let (name, state, about) = (&row.name, row.state, &row.about);
        // In a narrow terminal the description gets a line of its own.
        let gap = if terminal::stdout_width() < 100 { "\n    " } else { "  " };
        text += &format!("{mark} {name:width$}  {size:>9}  {state:state_width$}{gap}{about}\n");
    }
    for (short, name) in &context.settings.aliases {
        text += &format!("  {short:width$}  alias of {name}\n");
    }
    if terminal::print_text(&text)? {
        terminal::note("* is the default model; `wright models default NAME` changes it");
    }
    Ok(Exit::Done)
}

fn show(context: &Context, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let located = match find::meaning(&context.known(), name)? {
        Meaning::Here(located) => located,
        Meaning::Fetchable(entry) => Located { entry: Some(entry), ..Located::default() },
        Meaning::Elsewhere(reference) => {
            let what = format!("{} is not downloaded yet", reference.canonical());
            return Err(Failure::new(Exit::NotFound, what).hint(format!("wright pull {name}")));
        }
        Meaning::Folder(folder) => {
            return Err(Failure::usage(format!("{} is a folder", folder.display()))
                .hint("name a .gguf file inside it"));
        }
    };
    let path = Some(located.path.as_path()).filter(|path| !path.as_os_str().is_empty());
    let text = match as_json {
        true => {
            let store = located.store.as_ref().map(|found| found.store);
            let remembered = remembered(context, path);
            json!({ "path": path, "catalogue": located.entry, "store": store, "about": remembered })
                .to_string()
                + "\n"
        }
        false => shown(context, &located, path),
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

fn remembered(context: &Context, path: Option<&Path>) -> Option<receipt::Receipt> {
    let path = path.filter(|path| path.parent() == Some(&context.home.models))?;
    receipt::of(&context.home.models, &path.file_name()?.to_string_lossy())
}

fn shown(context: &Context, located: &Located, path: Option<&Path>) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(entry) = &located.entry {
        rows.extend(of_entry(entry));
    } else if let Some(about) = remembered(context, path) {
        rows.push(("name used", about.reference));
        rows.push(("from", about.source));
        rows.push(("licence", about.licence));
        rows.push(("sha-256", about.sha256));
    }
    match path {
        Some(path) => rows.push(("file", path.display().to_string())),
        None => rows.push(("file", "not downloaded yet; downloaded on first use".to_owned())),
    }
    if let Some(found) = &located.store {
        rows.push(("owner", format!("{} ({})", found.store, found.id)));
    }
    rows.iter().map(|(key, value)| format!("{key:8} {value}\n")).collect()
}

fn of_entry(entry: &Entry) -> Vec<(&'static str, String)> {
    let sources: Vec<String> = entry.sources.iter().map(|source| source.describe()).collect();
    let size = match entry.bytes {
        0 => "unknown".to_owned(),
        n => format!(
            "{}; needs about {} of memory",
            units::bytes(n),
            units::bytes(entry.memory_bytes())
        ),
    };
    let sampling = entry.sampling.iter().map(|(name, value)| format!("{name} {value}"));
    let sampling = match entry.sampling.is_empty() {
        true => "the usual defaults".to_owned(),
        false => sampling.collect::<Vec<_>>().join(", "),
    };
    vec![
        ("name", entry.name.clone()),
        ("aliases", entry.aliases.join(", ")),
        ("model", entry.title.clone()),
        ("about", entry.about.clone()),
        ("size", size),
        ("licence", format!("{} ({})", entry.licence, entry.licence_note)),
        ("sampling", sampling),
        ("sha-256", entry.sha256.clone()),
        ("from", sources.join(", then ")),
        ("checked", entry.seen_in.clone()),
    ]
}

fn remove(context: &Context, name: &str) -> Result<Exit, Failure> {
    let models = &context.home.models;
    let located = match find::meaning(&context.known(), name)? {
        Meaning::Here(located) => located,
        Meaning::Folder(folder) => Located { path: folder, ..Located::default() },
        Meaning::Fetchable(Entry { title, .. }) => return Err(not_here(&title)),
        Meaning::Elsewhere(reference) => return Err(not_here(&reference.canonical())),
    };
    if let Some(found) = &located.store {
        return Err(belongs_to(found));
    }
    let path = &located.path;
    if path.parent() != Some(models) {
        let what = format!("{} is not in Wright's model folder", path.display());
        return Err(Failure::usage(what).hint("to delete it, remove the file yourself"));
    }
    let freed = disk_use::freed(path);
    fs::remove_file(path).map_err(|error| Failure::io("remove", path, &error))?;
    receipt::forget(models, &path.file_name().unwrap_or_default().to_string_lossy());
    let said = match freed {
        0 => "no space freed: another hard link to the file remains".to_owned(),
        bytes => format!("{} freed", units::bytes(bytes)),
    };
    terminal::note(&format!("removed {}: {said}", path.display()));
    Ok(Exit::Done)
}

fn not_here(name: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("{name} is not on this machine"))
        .hint("`wright models` lists those that are")
}

fn belongs_to(found: &Found) -> Failure {
    let what = format!("{} belongs to {}: {}", found.id, found.store, found.path.display());
    Failure::usage(what).hint(format!("to remove it: {}", found.removal()))
}

/// What a name means from any folder and at any time.
fn lasting(context: &Context, name: &str) -> Result<String, Failure> {
    match find::meaning(&context.known(), name)? {
        Meaning::Fetchable(entry) => Ok(entry.name),
        Meaning::Elsewhere(reference) => Ok(reference.canonical()),
        Meaning::Folder(folder) => Err(Failure::usage(format!("{} is a folder", folder.display()))
            .hint("name a .gguf file inside it")),
        Meaning::Here(located)
            if located.entry.is_some()
                || located.store.is_some()
                || located.path.parent() == Some(&context.home.models) =>
        {
            Ok(located.id)
        }
        // A file elsewhere: its path must mean the same from any folder.
        Meaning::Here(located) => {
            let path = &located.path;
            let full = fs::canonicalize(path).map_err(|error| Failure::io("find", path, &error))?;
            Ok(full.to_string_lossy().into_owned())
        }
    }
}

fn set_default(context: &Context, name: &str) -> Result<Exit, Failure> {
    let default = lasting(context, name)?;
    let settings = Settings { default_model: Some(default.clone()), ..context.settings.clone() };
    settings.write(&context.home.settings)?;
    terminal::note(&format!("{default} is now the default model"));
    Ok(Exit::Done)
}

fn alias(
    context: &Context,
    short: Option<&str>,
    name: Option<&str>,
    remove: bool,
    as_json: bool,
) -> Result<Exit, Failure> {
    let mut settings = context.settings.clone();
    let Some(short) = short else {
        let lines = settings.aliases.iter().map(|(short, name)| format!("{short}\t{name}\n"));
        let text = match as_json {
            true => json!(settings.aliases).to_string() + "\n",
            false => lines.collect(),
        };
        terminal::print(&text)?;
        return Ok(Exit::Done);
    };
    if remove {
        if settings.aliases.remove(short).is_none() {
            return Err(Failure::new(Exit::NotFound, format!("'{short}' is not an alias"))
                .hint("`wright models alias` lists them"));
        }
        settings.write(&context.home.settings)?;
        return Ok(Exit::Done);
    }
    let Some(name) = name else {
        let meant = settings.aliases.get(short).ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("'{short}' is not an alias"))
                .hint(format!("`wright models alias {short} NAME` creates it"))
        })?;
        terminal::print(&format!("{meant}\n"))?;
        return Ok(Exit::Done);
    };
    if short.is_empty()
        || short.contains(['/', '\\', ':'])
        || context.catalogue.find(short).is_some()
    {
        return Err(Failure::usage(format!("'{short}' cannot be used as an alias"))
            .hint("choose one without / and : that is not a catalogue name"));
    }
    let meant = lasting(context, name)?;
    settings.aliases.insert(short.to_owned(), meant.clone());
    settings.write(&context.home.settings)?;
    terminal::note(&format!("{short} is now an alias of {meant}"));
    Ok(Exit::Done)
}
