//! `wright plan`: the plan of a training, and what it would cost on hardware that one names.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags;
use crate::open::context::Context;
use crate::terminal;
use crate::train::packed::Packed;
use crate::train::planning;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wright_host::units;
use wright_train::hardware::{Hardware, USUAL_UTILISATION};

/// Plan a training run: measure this machine, choose a model size, predict time, memory and loss
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Packed data from `wright pack`; not needed with --hardware
    #[arg(value_name = "DATA", required_unless_present = "hardware")]
    data: Option<PathBuf>,
    /// Training time in minutes
    #[arg(long, value_name = "N", default_value = "10", value_parser = flags::minutes)]
    minutes: f64,
    /// The configuration file to write [default: plan.toml]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Random seed for initial weights and row order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Estimate energy and cost on this hardware, such as 96xA100 or 8xH100
    #[arg(long, value_name = "NxDEVICE")]
    hardware: Option<String>,
    /// Power of one device in watts [default: the manufacturer's figure]
    #[arg(long, value_name = "W", requires = "hardware")]
    watts: Option<f64>,
    /// Price of one device in dollars per hour [default: a published rental price]
    #[arg(long, value_name = "DOLLARS", requires = "hardware")]
    price: Option<f64>,
    /// Fraction of its peak performance that a device reaches
    #[arg(long, value_name = "PART", default_value_t = USUAL_UTILISATION, requires = "hardware")]
    utilisation: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let hardware = args.hardware.as_deref().map(|text| {
        Hardware::parse(text, args.watts, args.price).map_err(|error| {
            let hint = "set --watts and --price (dollars per hour) for other devices";
            Failure::usage(error).hint(hint)
        })
    });
    let hardware = hardware.transpose()?;
    let mut said = String::new();
    let mut object = json!({});
    if let Some(data) = &args.data {
        let out = args.out.clone().unwrap_or_else(|| PathBuf::from("plan.toml"));
        let folder = out.parent().unwrap_or(Path::new(""));
        let wanted = planning::Wanted {
            seconds: args.minutes * 60.0,
            threads: args.threads.map(usize::from),
            seed: args.seed,
            trains_here: false,
        };
        let data = Packed::open(data)?;
        let made = planning::make(&data, &wanted, folder, &context.interrupt)?;
        made.write(&out)?;
        let _ = writeln!(said, "{}written to {}", made.words(), out.display());
        object = made.object();
        object["file"] = json!(out);
    }
    if let Some(hardware) = hardware {
        let flops = object["flops"].as_f64();
        let bill = Billed { hardware: &hardware, minutes: args.minutes, part: args.utilisation };
        said.push_str(&bill.words(flops));
        object["hardware"] = bill.object(flops);
    }
    terminal::print(&if args.json { format!("{object}\n") } else { said })?;
    Ok(Exit::Done)
}

/// A time on hardware that was named.
struct Billed<'a> {
    hardware: &'a Hardware,
    minutes: f64,
    /// Of the peak.
    part: f64,
}

impl Billed<'_> {
    /// `flops`: of the run that was planned, if one was.
    fn words(&self, flops: Option<f64>) -> String {
        let (h, bill) = (self.hardware, self.hardware.bill(self.minutes / 60.0));
        let mut said = format!(
            "{} x {} for {}: {:.0} device hours, {:.1} kWh, about ${:.0}\n",
            h.n_devices,
            h.device.name,
            units::seconds(self.minutes * 60.0),
            bill.device_hours,
            bill.kwh,
            bill.dollars,
        );
        if let Some(most) = h.flops(self.minutes * 60.0, self.part) {
            let part = self.part * 100.0;
            let _ = writeln!(said, "  {most:.1e} operations at {part:.0}% of peak");
            if let Some(flops) = flops {
                let seconds = flops / most * self.minutes * 60.0;
                let bill = h.bill(seconds / 3600.0);
                let time = units::seconds(seconds);
                let (kwh, dollars) = (bill.kwh, bill.dollars);
                let _ = writeln!(said, "  this run there: {time}, {kwh:.4} kWh, ${dollars:.4}");
            }
        }
        let _ = writeln!(
            said,
            "  {} W and ${} per hour each: {}",
            h.device.watts, h.device.price_hour, h.device.source
        );
        said
    }

    fn object(&self, flops: Option<f64>) -> Value {
        let (h, bill) = (self.hardware, self.hardware.bill(self.minutes / 60.0));
        let most = h.flops(self.minutes * 60.0, self.part);
        let seconds = flops.zip(most).map(|(flops, most)| flops / most * self.minutes * 60.0);
        json!({
            "device": h.device.name, "devices": h.n_devices, "minutes": self.minutes,
            "device_hours": bill.device_hours, "kwh": bill.kwh, "dollars": bill.dollars,
            "flops": most, "this_run_seconds": seconds, "watts": h.device.watts,
            "price_hour": h.device.price_hour, "source": h.device.source,
        })
    }
}
