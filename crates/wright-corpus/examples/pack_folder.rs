//! Packs a folder of text and says what came of it.
//!
//! `cargo run -p wright-corpus --example pack_folder -- TEXTS DATA`

use std::path::PathBuf;
use wright_corpus::{PackOptions, Work, pack};
use wright_host::{Interrupt, Silent, machine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(texts), Some(out)) = (paths.next(), paths.next()) else {
        return Err("give a folder of text and the folder to make".into());
    };
    let work = Work {
        threads: machine::usable_processors(),
        interrupt: &Interrupt::default(),
        reporter: &Silent,
    };
    let data = pack(&PackOptions::new(vec![texts], out), &work)?;
    let (train, held_out) = (&data.report.train.amount, &data.report.validation.amount);
    println!("{} tokens to train on, {} held out", train.tokens, held_out.tokens);
    for (license, amount) in &data.report.licences {
        println!("{license}: {} documents", amount.documents);
    }
    Ok(())
}
