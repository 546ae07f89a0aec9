//! JSON numbers as exact decimals: `0.3` is a multiple of `0.1`, and 2⁵³ + 1 is not 2⁵³.

use serde_json::Number;
use std::cmp::Ordering;
use std::fmt;

/// Powers of ten that are read: an `f64` goes from 5e-324 to 1.8e308.
const EXPONENT_MAX: u32 = 400;

/// ± `digits` · 10^`exponent`, without zeros at the end of the digits.
///
/// Integers that a [`Number`] holds exactly (64 bits) stay exact; other numbers are the shortest
/// decimal that names the same `f64`, which is how JSON writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    is_negative: bool,
    digits: u64,
    exponent: i32,
}

impl Decimal {
    pub const ZERO: Decimal = Decimal { is_negative: false, digits: 0, exponent: 0 };

    /// The number that `text` writes, as JSON does. `None` if it is not a number, has more digits
    /// than 64 bits hold, or is far beyond the range of an `f64`.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (text, 0_i32),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().ok()?;
        let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        if exponent.unsigned_abs() > EXPONENT_MAX {
            return None;
        }
        Some(Decimal::new(is_negative, digits, exponent))
    }

    fn new(is_negative: bool, mut digits: u64, mut exponent: i32) -> Decimal {
        if digits == 0 {
            return Decimal::ZERO;
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Decimal { is_negative, digits, exponent }
    }

    /// The value of `number`.
    pub fn of(number: &Number) -> Decimal {
        if let Some(value) = number.as_u64() {
            return Decimal::new(false, value, 0);
        }
        if let Some(value) = number.as_i64() {
            return Decimal::new(value < 0, value.unsigned_abs(), 0);
        }
        // The shortest text of a finite f64 has at most 17 digits.
        Decimal::parse(&number.to_string()).unwrap_or(Decimal::ZERO)
    }

    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    pub fn is_negative(&self) -> bool {
        self.is_negative
    }

    pub fn is_zero(&self) -> bool {
        self.digits == 0
    }

    /// The digits without zeros at the end, and the power of ten that they are times.
    pub fn parts(&self) -> (u64, i32) {
        (self.digits, self.exponent)
    }

    pub fn abs(self) -> Decimal {
        Decimal { is_negative: false, ..self }
    }

    /// The size of the number in digits alone, however many they are: no sign, no exponent.
    pub fn digits_in_full(&self) -> String {
        let digits = self.digits.to_string();
        if self.exponent >= 0 {
            return digits + &"0".repeat(self.exponent as usize);
        }
        let places = self.exponent.unsigned_abs() as usize;
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        format!("{whole}.{fraction}")
    }

    /// The value, if it is an integer of at most 128 bits.
    pub fn to_integer(self) -> Option<i128> {
        let scale = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let size = i128::from(self.digits).checked_mul(scale)?;
        Some(if self.is_negative { -size } else { size })
    }

    /// Whether this is an integer times `divisor`, which must not be zero.
    pub fn is_multiple_of(&self, divisor: &Decimal) -> bool {
        if self.digits == 0 {
            return true;
        }
        let shift = i64::from(self.exponent) - i64::from(divisor.exponent);
        if shift < 0 {
            // No zeros at the end: more than the 20 digits of 64 bits can never divide.
            let scale = u32::try_from(-shift).ok().and_then(|n| 10_u128.checked_pow(n));
            let divisor = scale.and_then(|scale| u128::from(divisor.digits).checked_mul(scale));
            return divisor.is_some_and(|divisor| u128::from(self.digits).is_multiple_of(divisor));
        }
        // (digits · 10^shift) mod divisor, by repeated squaring.
        let modulus = u128::from(divisor.digits);
        let (mut rest, mut base, mut n) =
            (u128::from(self.digits) % modulus, 10 % modulus, shift as u64);
        while n > 0 {
            if n & 1 == 1 {
                rest = rest * base % modulus;
            }
            base = base * base % modulus;
            n >>= 1;
        }
        rest.is_multiple_of(modulus)
    }

    fn size_cmp(&self, other: &Decimal) -> Ordering {
        let order =
            |d: &Decimal| i64::from(d.digits.checked_ilog10().unwrap_or(0)) + i64::from(d.exponent);
        match (self.digits, other.digits) {
            (0, 0) => return Ordering::Equal,
            (0, _) => return Ordering::Less,
            (_, 0) => return Ordering::Greater,
            _ => {}
        }
        order(self).cmp(&order(other)).then_with(|| {
            // As many digits before the point: bring both to the smaller exponent. Their exponents
            // differ by less than 20, so 128 bits hold it.
            let least = self.exponent.min(other.exponent);
            let scaled = |d: &Decimal| {
                u128::from(d.digits) * 10_u128.pow(d.exponent.abs_diff(least).min(19))
            };
            scaled(self).cmp(&scaled(other))
        })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.size_cmp(other),
            (true, true) => other.size_cmp(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        match self.exponent {
            -20..=20 => write!(f, "{sign}{}", self.digits_in_full()),
            n => write!(f, "{sign}{}e{n}", self.digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn multiples_are_exact() {
        assert!(d("0.3").is_multiple_of(&d("0.1")));
        assert!(d("19.99").is_multiple_of(&d("0.01")));
        assert!(!d("1e308").is_multiple_of(&d("0.123456789")));
        assert!(d("12391239123").is_multiple_of(&d("1e-8")));
        assert!(d("1e300").is_multiple_of(&d("4")));
        assert!(!d("7").is_multiple_of(&d("1e40")));
        assert!(d("0").is_multiple_of(&d("1e40")));
        assert!(d("-4.5").is_multiple_of(&d("1.5")));
    }

    #[test]
    fn the_order_is_exact_beyond_the_precision_of_floats() {
        let sorted = [
            "-1e300",
            "-9007199254740993",
            "-9007199254740992",
            "-0.5",
            "0",
            "1e-300",
            "0.1",
            "0.12",
            "1",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "1e300",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(d(a).cmp(&d(b)), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn one_value_has_one_form() {
        assert_eq!(d("1.0"), d("1"));
        assert_eq!(d("100"), d("1e2"));
        assert_eq!(d("-0.0"), Decimal::ZERO);
        assert!(d("1e2").is_integer() && !d("1.5").is_integer());
        assert_eq!(d("-12e3").to_integer(), Some(-12000));
        for (text, shown) in
            [("1200", "1200"), ("-0.05", "-0.05"), ("1e99", "1e99"), ("12.5", "12.5")]
        {
            assert_eq!(d(text).to_string(), shown);
        }
    }
}
