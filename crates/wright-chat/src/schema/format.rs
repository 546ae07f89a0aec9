//! The formats of JSON Schema that are checked where a caller asks for it.

use super::Pattern;

/// Whether a text is of a format.
pub type FormatCheck = fn(&str) -> bool;

/// The check of a format; `None` if the format is not known.
pub fn format_check(name: &str) -> Option<FormatCheck> {
    Some(match name {
        "date-time" => is_date_time,
        "date" => is_date,
        "time" => is_time,
        "duration" => is_duration,
        "email" => is_email,
        "hostname" => is_hostname,
        "ipv4" => is_ipv4,
        "ipv6" => is_ipv6,
        "uri" => is_uri,
        "uri-reference" => is_uri_reference,
        "uuid" => is_uuid,
        "json-pointer" => is_json_pointer,
        "relative-json-pointer" => is_relative_json_pointer,
        "regex" => |text| Pattern::new(text).is_ok(),
        _ => return None,
    })
}

/// The number that exactly `n` digits at the front write, and the rest.
fn digits(text: &str, n: usize) -> Option<(u32, &str)> {
    let (head, rest) = text.split_at_checked(n)?;
    let is_number = head.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| head.parse().ok().map(|value| (value, rest))).flatten()
}

fn date(text: &str) -> Option<&str> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let n_days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=n_days).contains(&day).then_some(rest)
}

/// RFC 3339: the offset is required, and a leap second ends a day of UTC.
fn time(text: &str) -> Option<&str> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    let (offset, rest) = match rest.strip_prefix(['Z', 'z']) {
        Some(rest) => (0, rest),
        None => {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            let (hours, rest) = digits(rest.strip_prefix(['+', '-'])?, 2)?;
            let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (sign * (hours as i32 * 60 + minutes as i32), rest)
        }
    };
    let at_utc = (hour as i32 * 60 + minute as i32 - offset).rem_euclid(24 * 60);
    let is_leap = second == 60 && at_utc == 23 * 60 + 59;
    (hour < 24 && minute < 60 && (second < 60 || is_leap)).then_some(rest)
}

fn is_date(text: &str) -> bool {
    date(text) == Some("")
}

fn is_time(text: &str) -> bool {
    time(text) == Some("")
}

fn is_date_time(text: &str) -> bool {
    let time = date(text).and_then(|rest| rest.strip_prefix(['T', 't']));
    time.is_some_and(is_time)
}

/// ISO 8601, as RFC 3339 writes its grammar: units in order, without gaps in the time.
fn is_duration(text: &str) -> bool {
    let Some(text) = text.strip_prefix('P') else { return false };
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let units = |text: &str| -> Option<String> {
        let mut rest = text;
        let mut units = String::new();
        while !rest.is_empty() {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == rest.len() {
                return None;
            }
            units.push(after.chars().next()?);
            rest = &after[after.chars().next()?.len_utf8()..];
        }
        Some(units)
    };
    let (Some(days), Some(hours)) = (units(date), units(time.unwrap_or_default())) else {
        return false;
    };
    let is_run = |all: &str, units: &str| !units.is_empty() && all.contains(units);
    let has_days = days == "W" && time.is_none() || is_run("YMD", &days);
    let has_hours = is_run("HMS", &hours);
    (has_days || days.is_empty()) && (has_hours || time.is_none()) && (has_days || has_hours)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_dotted = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
    let quoted = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_quoted = quoted
        .is_some_and(|text| text.chars().all(|c| (' '..='~').contains(&c) && !"\"\\".contains(c)));
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = literal.is_some_and(|address| match address.strip_prefix("IPv6:") {
        Some(address) => is_ipv6(address),
        None => is_ipv4(address),
    });
    (is_dotted || is_quoted) && local.len() <= 64 && (is_address || is_hostname(domain))
}

fn is_ipv4(text: &str) -> bool {
    let is_byte = |part: &str| {
        let is_number = part.bytes().all(|b| b.is_ascii_digit());
        is_number && (part == "0" || !part.starts_with('0')) && part.parse::<u8>().is_ok()
    };
    text.split('.').count() == 4 && text.split('.').all(is_byte)
}

/// RFC 4291: eight groups, of which `::` stands for one or more; the last two can be an IPv4
/// address.
fn is_ipv6(text: &str) -> bool {
    // How many groups a run of them has.
    let n_groups = |run: &str, is_last: bool| -> Option<usize> {
        let groups: Vec<&str> = if run.is_empty() { Vec::new() } else { run.split(':').collect() };
        let mut n = 0;
        for (i, group) in groups.iter().enumerate() {
            let is_hex = group.bytes().all(|b| b.is_ascii_hexdigit());
            if (1..=4).contains(&group.len()) && is_hex {
                n += 1;
            } else if is_last && i + 1 == groups.len() && is_ipv4(group) {
                n += 2;
            } else {
                return None;
            }
        }
        Some(n)
    };
    match text.split_once("::") {
        None => n_groups(text, true) == Some(8),
        Some((before, after)) => {
            let n = n_groups(before, false).zip(n_groups(after, true));
            n.is_some_and(|(before, after)| before + after < 8)
        }
    }
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && is_uri_reference(rest)
}

fn is_uri_reference(text: &str) -> bool {
    let mut bytes = text.bytes();
    let mut n_fragments = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut hex = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                if !hex() || !hex() {
                    return false;
                }
            }
            b'#' => n_fragments += 1,
            b'[' | b']' if text.contains("//") => {}
            _ if byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(&byte) => {}
            _ => return false,
        }
    }
    n_fragments <= 1
}

fn is_uuid(text: &str) -> bool {
    let is_dash = |i: usize| matches!(i, 8 | 13 | 18 | 23);
    let is_right = |(i, b): (usize, u8)| if is_dash(i) { b == b'-' } else { b.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

fn is_json_pointer(text: &str) -> bool {
    let escapes = |text: &str| text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes(text)
}

fn is_relative_json_pointer(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - rest.len()];
    let is_number = !number.is_empty() && (number == "0" || !number.starts_with('0'));
    is_number && (rest == "#" || is_json_pointer(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_know_their_edges() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("date", &["2024-02-29", "2000-12-31"], &["2023-02-29", "2024-13-01", "24-01-01"]),
            (
                "time",
                &["08:30:06Z", "23:59:60Z", "01:29:60+01:30"],
                &["08:30:06", "22:59:60Z", "24:00:00Z"],
            ),
            ("date-time", &["1963-06-19T08:30:06.283185Z"], &["1963-06-19 08:30:06Z"]),
            (
                "duration",
                &["P4DT12H30M5S", "P4W", "PT0S", "P1Y"],
                &["P", "PT", "P1D2H", "P2D1Y", "P1YW"],
            ),
            (
                "email",
                &["joe@example.com", "\"a b\"@x.y", "a@[127.0.0.1]"],
                &["joe", ".a@b.c", "a..b@c"],
            ),
            ("hostname", &["a-b.example"], &["-a.b", "a_b", ""]),
            ("ipv4", &["192.168.0.1"], &["256.1.1.1", "1.2.3", "01.2.3.4"]),
            (
                "ipv6",
                &["::", "1::", "::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"],
                &[
                    "12345::",
                    "::1%eth0",
                    "1:2:3:4:5:6:7",
                    "1::2::3",
                    "1:2:3:4:5:6:7::8",
                    "1.2.3.4::",
                ],
            ),
            ("uri", &["http://a.b/?q=%20#f", "urn:x:y"], &["//a", "http:// x", "a:%zz"]),
            (
                "uuid",
                &["2eb8aa08-aa98-11ea-b4aa-73b441d16380"],
                &["2eb8aa08aa98-11ea-b4aa73b441d16380"],
            ),
            ("json-pointer", &["", "/a~1b"], &["a", "/~2"]),
            ("relative-json-pointer", &["0", "1/a", "2#"], &["01", "/a", "-1"]),
            ("regex", &["^a$"], &["^(a"]),
        ];
        for (name, right, wrong) in cases {
            let check = format_check(name).unwrap();
            right.iter().for_each(|text| assert!(check(text), "{name}: {text}"));
            wrong.iter().for_each(|text| assert!(!check(text), "{name}: {text}"));
        }
        assert!(format_check("colour").is_none());
    }
}
