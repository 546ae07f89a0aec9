//! The date that a template may print. The time is an argument: this crate reads no clock.

/// A moment, and how far local time is ahead of UTC there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_s: i64,
    /// Seconds that local clocks are ahead of UTC.
    pub utc_offset_s: i32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Now {
    /// Formats as C's `strftime` does in the C locale. Unknown directives stay as they are.
    pub(crate) fn format(self, format: &str) -> String {
        let local = self.unix_s.saturating_add(i64::from(self.utc_offset_s));
        let (days, second_of_day) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let weekday = (days + 3).rem_euclid(7) as usize;
        let (hour, minute, second) =
            (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let hour_12 = (hour + 11) % 12 + 1;
        let month_name = MONTHS[month as usize - 1];
        let year_start = days_from_civil(year, 1, 1);
        let mut out = String::new();
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = rest.next();
            let unpadded = directive == Some('-');
            if unpadded {
                directive = rest.next();
            }
            let two = |n: i64| if unpadded { format!("{n}") } else { format!("{n:02}") };
            let text = match directive {
                Some('Y') => format!("{year}"),
                Some('y') => two(year.rem_euclid(100)),
                Some('m') => two(month),
                Some('d') => two(day),
                Some('e') => format!("{day:2}"),
                Some('H') => two(hour),
                Some('I') => two(hour_12),
                Some('M') => two(minute),
                Some('S') => two(second),
                Some('p') => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
                Some('B') => month_name.to_owned(),
                Some('b' | 'h') => month_name[..3].to_owned(),
                Some('A') => DAYS[weekday].to_owned(),
                Some('a') => DAYS[weekday][..3].to_owned(),
                Some('w') => format!("{}", (weekday + 1) % 7),
                Some('u') => format!("{}", weekday + 1),
                Some('j') => format!("{:03}", days - year_start + 1),
                Some('F') => format!("{year}-{month:02}-{day:02}"),
                Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
                Some('R') => format!("{hour:02}:{minute:02}"),
                Some('%') => "%".to_owned(),
                Some(other) => format!("%{other}"),
                None => "%".to_owned(),
            };
            out.push_str(&text);
        }
        out
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Gregorian, after H. Hinnant's
/// "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_dates() {
        let now = Now { unix_s: 1_709_251_199, utc_offset_s: 0 };
        assert_eq!(now.format("%d %b %Y %H:%M:%S %A %j"), "29 Feb 2024 23:59:59 Thursday 060");
        let later = Now { unix_s: 1_709_251_199, utc_offset_s: 3600 };
        assert_eq!(later.format("%Y-%m-%d %I:%M %p %-d %B"), "2024-03-01 12:59 AM 1 March");
        let past = Now { unix_s: -1, utc_offset_s: 0 };
        assert_eq!(past.format("%F %T %a %y 100%% %Q"), "1969-12-31 23:59:59 Wed 69 100% %Q");
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn extremes_do_not_panic() {
        for unix_s in [i64::MIN, i64::MAX] {
            Now { unix_s, utc_offset_s: i32::MAX }.format("%Y-%m-%d %j %A");
        }
    }
}
