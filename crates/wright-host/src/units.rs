//! Human-readable numbers: bytes, counts, seconds. Units are decimal throughout.

/// `98_362_432` → `98.4 MB`.
pub fn bytes(n: u64) -> String {
    scaled(n as f64, &["bytes", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// `134_515_008` → `134.5 M`.
pub fn count(n: u64) -> String {
    scaled(n as f64, &["", "k", "M", "G", "T", "P", "E"]).trim_end().to_owned()
}

fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // A value that would print as "1000.0" belongs to the next unit.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} {}", units[0]),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

/// `75.2` → `1 min 15 s`; below ten seconds one decimal.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() || s < 0.0 {
        return "?".to_owned();
    }
    if s < 0.001 {
        return format!("{:.0} µs", s * 1e6);
    }
    if s < 1.0 {
        return format!("{:.0} ms", s * 1e3);
    }
    if s < 9.95 {
        return format!("{s:.1} s");
    }
    let whole = s.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// `2, "document"` → `2 documents`.
pub fn number_of(n: u64, thing: &str) -> String {
    match (n, thing.strip_suffix('y')) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) if !thing.ends_with("ay") => format!("{n} {stem}ies"),
        _ => format!("{n} {thing}s"),
    }
}

/// `n` things a second, or a dash where no time was measured.
pub fn rate(n: u64, s: f64) -> String {
    if s > 0.0 { format!("{:.1}", n as f64 / s) } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(count(576), "576");
        assert_eq!(count(134_515_008), "134.5 M");
        assert_eq!(seconds(0.0005), "500 µs");
        assert_eq!(seconds(0.25), "250 ms");
        assert_eq!(seconds(9.96), "10 s");
        assert_eq!(seconds(75.2), "1 min 15 s");
        assert_eq!(seconds(3661.0), "1 h 1 min");
        assert_eq!(seconds(f64::INFINITY), "?");
        assert_eq!(number_of(1, "file"), "1 file");
        assert_eq!(number_of(0, "file"), "0 files");
        assert_eq!(rate(10, 0.0), "–");
        assert_eq!(rate(10, 4.0), "2.5");
    }
}
