//! Moves logs between `llm` and Wright: `llm_log import MEMORY LOGS`, `llm_log export MEMORY LOGS`.

use std::path::Path;
use wright_store::{Scope, SqliteStore};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [verb, memory, logs] = &args[..] else {
        return Err("usage: llm_log import|export MEMORY LOGS".into());
    };
    let mut store = SqliteStore::open(Path::new(memory))?;
    match verb.as_str() {
        "import" => println!("{:?}", store.import_llm(Path::new(logs), &mut |_, _| {})?),
        "export" => println!("{:?}", store.export_llm(Path::new(logs), Scope::All)?),
        other => return Err(format!("no verb `{other}`").into()),
    }
    Ok(())
}
