//! Dates and times: milliseconds since 1970 (UTC) to ISO 8601 and back.

/// Days since 1970-01-01 of a date in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that leap days come last: each era of 400 years has 146,097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `2026-11-30`, of days since 1970.
pub fn format_day(day: i64) -> String {
    let (year, month, day) = civil_from_days(day.clamp(-700_000, 2_900_000));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-30T15:04:05.678+00:00`, of milliseconds since 1970.
pub fn format_time(time_ms: i64) -> String {
    let day = format_day(time_ms.div_euclid(86_400_000));
    let ms = time_ms.rem_euclid(86_400_000);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}.{:03}+00:00", ms % 1000)
}

/// Milliseconds since 1970 of an ISO date and time such as `2026-11-30 15:04:05.678901+01:00`;
/// the time, the fraction and the offset may be missing.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(2, ['T', ' ']);
    let date: Vec<i64> = parts.next()?.split('-').map(digits).collect::<Option<_>>()?;
    let [year, month, day] = date[..] else { return None };
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let midnight_ms = days_from_civil(year, month, day) * 86_400_000;
    let Some(rest) = parts.next() else { return Some(midnight_ms) };
    let rest = rest.trim_end_matches('Z');
    let (clock, offset_minutes) = match rest.rfind(['+', '-']) {
        Some(at) => (&rest[..at], offset(&rest[at..])?),
        None => (rest, 0),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock: Vec<i64> = clock.split(':').map(digits).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match clock[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    if hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let ms = digits(&format!("{fraction:0<3}")[..3])?;
    let minutes = hours * 60 + minutes - offset_minutes;
    Some(midnight_ms + minutes * 60_000 + seconds * 1000 + ms)
}

fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Minutes of an offset such as `+01:00` or `-0530`.
fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let number = text[1..].replace(':', "");
    let number = digits(&number)?;
    let minutes = if text.len() <= 3 { number * 60 } else { number / 100 * 60 + number % 100 };
    Some(sign * minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let cases = [
            ("1970-01-01T00:00:00.000+00:00", 0),
            ("2000-02-29T12:30:15.250+00:00", 951_827_415_250),
            ("2026-11-30T15:04:05.678+00:00", 1_796_051_045_678),
            ("1969-12-31T23:59:59.999+00:00", -1),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_time(text), Some(ms), "{text}");
            assert_eq!(format_time(ms), text);
        }
        assert_eq!(parse_time("2026-11-30 15:04:05.678901+00:00"), Some(1_796_051_045_678));
        assert_eq!(parse_time("2026-11-30T16:04:05.678+01:00"), Some(1_796_051_045_678));
        assert_eq!(parse_time("1970-01-02"), Some(86_400_000));
        assert_eq!(parse_time("1970-01-01 00:01"), Some(60_000));
        for text in ["", "x", "1970-13-01", "1970-01-01T", "1970-01-01T00:00:00.é", "1970-01-01T1+"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn days_go_round_over_four_centuries() {
        for day in (-200_000..200_000).step_by(37) {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
        assert_eq!(format_day(0), "1970-01-01");
    }
}
