//! Identifiers that sort by time: ULIDs, and the integer keys of turns.

use crate::Error;
use rusqlite::Connection;

/// Low bits of a turn's key: they keep turns of one millisecond apart.
const COUNTER_BITS: u32 = 20;

/// The latest time that a key can hold; in the year 2248.
const TIME_MAX_MS: i64 = (1 << 43) - 1;

/// Keys go up from turn to turn unless the newest turn lies this far in the future, as in an
/// imported file.
const FUTURE_MAX_MS: i64 = 3_600_000;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 80 random bits from the database's generator, which the operating system seeds.
fn random(db: &Connection) -> Result<u128, Error> {
    let mut statement = db.prepare_cached("SELECT randomblob(10)")?;
    let bytes: Vec<u8> = statement.query_row([], |row| row.get(0))?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// A ULID in lower case.
fn ulid(time_ms: i64, random: u128) -> String {
    let number = (time_ms.clamp(0, TIME_MAX_MS) as u128) << 80 | random;
    let digit = |at: u32| char::from(ALPHABET[(number >> (at * 5) & 31) as usize]);
    (0..26).rev().map(digit).collect()
}

/// A fresh identifier for a conversation that begins at `time_ms`.
pub(crate) fn new_id(db: &Connection, time_ms: i64) -> Result<String, Error> {
    Ok(ulid(time_ms, random(db)?))
}

/// Key and id of a new turn at `time_ms`, above those of all turns before it. Call it inside the
/// transaction that writes the turn.
pub(crate) fn new_turn(db: &Connection, time_ms: i64) -> Result<(i64, String), Error> {
    let time_ms = time_ms.clamp(0, TIME_MAX_MS);
    let random = random(db)?;
    let newest: i64 = db
        .prepare_cached("SELECT ifnull(max(key), 0) FROM turns")?
        .query_row([], |row| row.get(0))?;
    let mut key = time_ms << COUNTER_BITS | (random >> (80 - COUNTER_BITS)) as i64;
    if newest >= key && newest >> COUNTER_BITS <= time_ms + FUTURE_MAX_MS {
        key = newest + 1;
    }
    key = free_key(db, key)?;
    let low_bits = 80 - COUNTER_BITS;
    let counter = (key & ((1 << COUNTER_BITS) - 1)) as u128;
    let random = counter << low_bits | random & ((1 << low_bits) - 1);
    Ok((key, ulid(key >> COUNTER_BITS, random)))
}

/// Key of a turn whose id is given; ids that are not ULIDs take `time_ms`.
pub(crate) fn key_of(db: &Connection, id: &str, time_ms: i64) -> Result<i64, Error> {
    let key = match parse_ulid(id) {
        Some(number) => {
            let time_ms = ((number >> 80) as i64).min(TIME_MAX_MS);
            let counter = (number >> (80 - COUNTER_BITS)) as i64 & ((1 << COUNTER_BITS) - 1);
            time_ms << COUNTER_BITS | counter
        }
        None => time_ms.clamp(0, TIME_MAX_MS) << COUNTER_BITS,
    };
    free_key(db, key)
}

/// `key`, or the next one that no turn has.
fn free_key(db: &Connection, key: i64) -> Result<i64, Error> {
    let mut statement = db.prepare_cached(
        "SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM turns WHERE key = ?1)
         UNION ALL SELECT * FROM (
           SELECT key + 1 FROM turns AS t WHERE key >= ?1
           AND NOT EXISTS (SELECT 1 FROM turns WHERE key = t.key + 1) ORDER BY key LIMIT 1)
         LIMIT 1",
    )?;
    Ok(statement.query_row([key], |row| row.get(0))?)
}

fn parse_ulid(id: &str) -> Option<u128> {
    if id.len() != 26 {
        return None;
    }
    let mut number: u128 = 0;
    for byte in id.bytes() {
        let lower = byte.to_ascii_lowercase();
        let digit = ALPHABET.iter().position(|known| *known == lower)?;
        number = number.checked_mul(32)? | digit as u128;
    }
    (id.as_bytes()[0] <= b'7').then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn ids_carry_their_time_and_sort_by_it() {
        // From the specification of ULID: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 1469922850259 ms.
        let number = parse_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        assert_eq!(number >> 80, 1_469_922_850_259);
        assert_eq!(
            ulid((number >> 80) as i64, number & ((1 << 80) - 1)),
            "01arz3ndektsv4rrffq69g5fav"
        );
        assert!(parse_ulid("8zzzzzzzzzzzzzzzzzzzzzzzzz").is_none());
        assert!(parse_ulid("not a ulid").is_none());
    }

    #[test]
    fn keys_go_up_even_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::prepare(&mut db, std::path::Path::new("x")).unwrap();
        db.execute_batch(
            "INSERT INTO conversations VALUES(1, 'c', NULL, NULL, NULL, 0);
            INSERT INTO models VALUES(1, 'm', NULL, NULL)",
        )
        .unwrap();
        let insert = |key: i64, id: &str| {
            db.execute(
            "INSERT INTO turns(key, id, conversation, model, started_ms) VALUES(?1, ?2, 1, 1, 0)",
            rusqlite::params![key, id]).unwrap()
        };
        let mut last = (0, String::new());
        for time_ms in [1000, 1000, 1000, 900, 1001] {
            let next = new_turn(&db, time_ms).unwrap();
            assert!(next > last, "{next:?} after {last:?}");
            insert(next.0, &next.1);
            last = next;
        }
        // A turn from the far future does not pull later ones along.
        let key = key_of(&db, "7zzzzzzzzzzzzzzzzzzzzzzzzz", 0).unwrap();
        insert(key, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(new_turn(&db, 2000).unwrap().0 >> COUNTER_BITS, 2000);
        let taken = key_of(&db, &last.1, 0).unwrap();
        assert_eq!(taken, last.0 + 1);
    }
}
