//! Energy and cost of hours on given hardware.
//!
//! The table holds published figures of manufacturers and cloud providers; callers may override
//! watts and price. Prices change: use them as a rough estimate, not as a budget.

use crate::Error;

/// A device, with published specifications and a rental price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Device {
    pub name: &'static str,
    /// Dense products of 16-bit floats, operations a second.
    pub peak_flop_s: f64,
    pub watts: f64,
    /// US dollars for an hour, on demand.
    pub price_hour: f64,
    /// Where peak and watts, then the price, were published.
    pub source: &'static str,
}

/// Devices that go by name. Peaks and watts are the makers'; prices are what somebody asked.
pub const DEVICES: [Device; 4] = [
    Device {
        name: "A100",
        peak_flop_s: 312e12,
        watts: 400.0,
        price_hour: 1.10,
        source: "NVIDIA (SXM); price derived from Phi-2, about $35,000 for 96 devices and 14 days",
    },
    Device {
        name: "H100",
        peak_flop_s: 989e12,
        watts: 700.0,
        price_hour: 3.78,
        source: "NVIDIA (SXM, dense); Lambda's price list of May 2026, as reported by \
                 techbytes.app",
    },
    Device {
        name: "L4",
        peak_flop_s: 121e12,
        watts: 72.0,
        price_hour: 0.80,
        source: "NVIDIA (dense); Modal's price list of May 2026, as reported by techbytes.app",
    },
    Device {
        name: "T4",
        peak_flop_s: 65e12,
        watts: 70.0,
        price_hour: 0.59,
        source: "NVIDIA; Modal's price list of May 2026, as reported by techbytes.app",
    },
];

/// Part of the peak that training reaches on such devices, where nobody says another: between
/// the 38 % of Llama 3's long contexts and the 60 % of llm.c.
pub const USUAL_UTILISATION: f64 = 0.4;

/// So many devices, with what one of them takes in an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hardware {
    pub n_devices: u64,
    pub device: Device,
}

/// The energy and cost of some time on hardware.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bill {
    pub device_hours: f64,
    pub kwh: f64,
    pub dollars: f64,
}

impl Hardware {
    /// Reads `96xA100`, `8 x H100` or `A100`. A device that is not in the table needs watts and
    /// price; these also stand in for the table's.
    ///
    /// # Errors
    /// If it cannot be read, or something about the device is not known.
    pub fn parse(
        text: &str,
        watts: Option<f64>,
        price_hour: Option<f64>,
    ) -> Result<Hardware, Error> {
        let fail = |why: String| Error::Config(format!("hardware {text:?}: {why}"));
        let trimmed = text.trim();
        let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, rest) = trimmed.split_at(digits);
        let rest = rest.trim_start();
        let (n_devices, name) = match rest.strip_prefix(['x', 'X', '×', '*']) {
            Some(name) if digits > 0 => {
                let count = count.parse().ok().filter(|n| (1..=10_000_000).contains(n));
                (
                    count.ok_or_else(|| fail("that number of devices is out of range".into()))?,
                    name.trim(),
                )
            }
            _ => (1, trimmed),
        };
        let plain = |name: &str| name.replace([' ', '-', '_'], "").to_ascii_uppercase();
        let known = DEVICES.iter().find(|device| plain(name).starts_with(device.name)).copied();
        let device = match (known, watts, price_hour) {
            (Some(device), ..) => device,
            (None, Some(watts), Some(price_hour)) => {
                let source = "as specified";
                Device { name: "device", peak_flop_s: 0.0, watts, price_hour, source }
            }
            _ => {
                let names = DEVICES.map(|device| device.name).join(", ");
                let why =
                    format!("its watts and hourly price are unknown; known devices are {names}");
                return Err(fail(why));
            }
        };
        let device = Device {
            watts: watts.unwrap_or(device.watts),
            price_hour: price_hour.unwrap_or(device.price_hour),
            ..device
        };
        Ok(Hardware { n_devices, device })
    }

    /// The bill for `hours` of all devices.
    pub fn bill(&self, hours: f64) -> Bill {
        let device_hours = self.n_devices as f64 * hours;
        let kwh = device_hours * self.device.watts / 1000.0;
        Bill { device_hours, kwh, dollars: device_hours * self.device.price_hour }
    }

    /// Operations in `seconds`, at a part of the peak; None where the peak is not known.
    pub fn flops(&self, seconds: f64, utilisation: f64) -> Option<f64> {
        let peak = self.n_devices as f64 * self.device.peak_flop_s;
        (peak > 0.0).then_some(peak * utilisation * seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_of_96_a100_cost_about_35_000_dollars() {
        let hardware = Hardware::parse("96xA100", None, None).unwrap();
        let bill = hardware.bill(14.0 * 24.0);
        assert!((bill.dollars / 35_000.0 - 1.0).abs() < 0.02, "{}", bill.dollars);
        assert_eq!(bill.device_hours, 32_256.0);
        assert!((bill.kwh - 12_902.4).abs() < 0.1);
        // Phi-2: 2.7 billion parameters on 1.4 trillion tokens, 6 operations for each pair.
        let part = 6.0 * 2.7e9 * 1.4e12 / hardware.flops(14.0 * 86_400.0, 1.0).unwrap();
        assert!((0.5..0.7).contains(&part), "{part} of the peak");
    }

    #[test]
    fn hardware_is_read_as_people_write_it() {
        let read = |text| Hardware::parse(text, None, None);
        for (text, n, name) in
            [("8 x H100", 8, "H100"), ("a100-80gb", 1, "A100"), ("4×t4", 4, "T4")]
        {
            let hardware = read(text).unwrap();
            assert_eq!((hardware.n_devices, hardware.device.name), (n, name), "{text}");
        }
        for wrong in ["", "0xA100", "99999999999xA100", "9xAbacus", "x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let own = Hardware::parse("2xAbacus", Some(50.0), Some(0.1)).unwrap();
        assert_eq!(own.bill(10.0), Bill { device_hours: 20.0, kwh: 1.0, dollars: 2.0 });
        assert_eq!(own.flops(1.0, 0.4), None);
    }
}
