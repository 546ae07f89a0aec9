//! Which parts of the kept texts are held out: the passes over texts that `holdout` asks for.

use crate::Work;
use crate::error::Error;
use crate::pack::collect::Record;
use crate::pack::spool::Texts;
use std::collections::HashMap;
use std::ops::Range;
use wright_data::holdout::{Candidates, Choice, Sizes, Unit};
use wright_data::report::Divided;
use wright_host::{parallel_map, units};

/// Candidates for what is held out, as multiples of it: many more only where most of them repeat.
const CANDIDATES: [u64; 2] = [2, 16];
/// Text that is worked on at a time.
const BATCH_BYTES: u64 = 8 << 20;

/// Numbers of records, in batches whose texts are of a bounded size.
pub fn batches(records: &[Record]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == records.len() {
            return None;
        }
        let (from, mut bytes) = (start, 0);
        while start < records.len() && (bytes == 0 || bytes < BATCH_BYTES) {
            bytes += u64::from(records[start].len);
            start += 1;
        }
        Some(from..start)
    })
}

/// Where the text of a record lies.
pub fn place(record: &Record) -> Range<u64> {
    record.at..record.at + u64::from(record.len)
}

/// `map` of the number and text of each record, by all threads, batch by batch; what comes of a
/// batch goes to `take`, in order.
///
/// # Errors
/// If a text cannot be read, the person stopped it, or `take` fails.
pub fn each_text<R: Send>(
    records: &[Record],
    texts: &Texts,
    work: &Work<'_>,
    map: impl Fn(u32, &str) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), Error>,
) -> Result<(), Error> {
    for batch in batches(records) {
        work.check()?;
        let numbers: Vec<usize> = batch.clone().collect();
        let results = parallel_map(&numbers, work.threads, |&number| {
            texts.get(place(&records[number])).map(|text| map(number as u32, text))
        });
        for result in results {
            take(result?)?;
        }
        texts.forget(place(&records[batch.start]).start..place(&records[batch.end - 1]).end);
    }
    Ok(())
}

/// The units to hold out, by the number of their document.
pub type Held = HashMap<u32, Vec<Unit>>;

/// Chooses what to hold out.
///
/// # Errors
/// If a text cannot be read, or the person stopped it.
pub fn divide(
    records: &[Record],
    texts: &Texts,
    holdout: f64,
    work: &Work<'_>,
) -> Result<(Held, Divided), Error> {
    let total = records.iter().map(|record| u64::from(record.len)).sum();
    let sizes = Sizes::new(total, holdout);
    let mut all: Vec<Unit> = Vec::new();
    let units_of = |number: u32, text: &str| match sizes.divides(text.len()) {
        true => sizes.sections(number, text),
        false => vec![Sizes::whole(number, text.len(), &records[number as usize].hash)],
    };
    each_text(records, texts, work, units_of, |units| {
        all.extend(units);
        Ok(())
    })?;
    let choose = |times: u64| -> Result<Choice, Error> {
        let mut candidates = Candidates::new(all.clone(), sizes, times);
        for unit in candidates.units().to_vec() {
            let at = records[unit.document as usize].at;
            candidates.learn(texts.get(at + unit.from as u64..at + unit.to as u64)?);
        }
        let look_in = |number: u32, text: &str| candidates.look_in(number, text);
        each_text(records, texts, work, look_in, |()| Ok(()))?;
        Ok(candidates.choose())
    };
    let few = choose(CANDIDATES[0])?;
    let choice = if few.is_enough { few } else { choose(CANDIDATES[1])? };
    let (chosen, passed) = (choice.units, choice.passed_over);
    let is_section = |unit: &&Unit| unit.len() < records[unit.document as usize].len as usize;
    let sections = chosen.iter().filter(is_section).count();
    let divided = Divided {
        holdout,
        how: how(&chosen, sections, &sizes),
        sections: sections as u64,
        passed_over: passed as u64,
    };
    let mut held = Held::new();
    for unit in chosen {
        held.entry(unit.document).or_default().push(unit);
    }
    Ok((held, divided))
}

fn how(chosen: &[Unit], sections: usize, sizes: &Sizes) -> String {
    let whole = chosen.len() - sections;
    let bytes = units::bytes(sizes.section as u64);
    let number = |n: usize, thing: &str| units::number_of(n as u64, thing);
    match (whole, sections) {
        (whole, 0) => number(whole, "whole document"),
        (0, n) => format!("{} of about {bytes} from larger documents", number(n, "section")),
        (whole, n) => format!(
            "{}, and {} of about {bytes} from larger ones",
            number(whole, "whole document"),
            number(n, "section")
        ),
    }
}
