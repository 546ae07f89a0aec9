//! Honest long texts that repeat themselves: lists, poems with refrains, tables, code, logs.
//!
//! They are generated, so that they are long and cost nothing to keep: each kind has a structure
//! that stays and words and numbers that change, as in text that people and programs write.

/// Variants of each kind.
const N_VARIANTS: u64 = 7;

type Kind = (&'static str, fn(&mut Random) -> String);

/// The kinds, by name.
const KINDS: &[Kind] = &[
    ("numbered list", list),
    ("poem with a refrain", poem),
    ("song with a repeated chorus", song),
    ("Markdown table", table),
    ("Rust code", code),
    ("matrix in code", matrix),
    ("server log", log),
    ("test log", test_log),
    ("JSON records", json),
    ("CSV", csv),
    ("HTML table", html),
    ("hex dump", hex_dump),
    ("dialogue", dialogue),
    ("contract", contract),
];

/// All texts, each with its kind: [`N_VARIANTS`] of each of 14 kinds.
pub fn all() -> Vec<(&'static str, String)> {
    let variants = |&(name, write): &Kind| {
        (0..N_VARIANTS).map(move |seed| (name, write(&mut Random(seed * 7919 + 17))))
    };
    KINDS.iter().flat_map(variants).collect()
}

/// A small generator of random numbers (xorshift64*).
pub struct Random(pub u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    fn noun(&mut self) -> &'static str {
        self.pick(&[
            "river", "lamp", "garden", "engine", "letter", "window", "harbour", "winter", "bridge",
            "market", "teacher", "forest", "clock", "kitchen", "mountain", "painter", "village",
            "ship", "storm", "orchard",
        ])
    }

    fn adjective(&mut self) -> &'static str {
        self.pick(&[
            "old", "quiet", "bright", "narrow", "green", "heavy", "patient", "distant", "broken",
            "gentle", "cold", "early", "stubborn", "golden",
        ])
    }

    fn verb(&mut self) -> &'static str {
        self.pick(&[
            "follows",
            "carries",
            "remembers",
            "crosses",
            "repairs",
            "paints",
            "watches",
            "leaves",
            "finds",
            "hears",
            "covers",
            "opens",
        ])
    }

    fn sentence(&mut self) -> String {
        let (a, b) = (self.adjective(), self.noun());
        let (verb, c, d) = (self.verb(), self.adjective(), self.noun());
        format!("the {a} {b} {verb} the {c} {d}")
    }
}

/// `n` lines, each written with its number from 1.
fn lines(n: usize, mut line: impl FnMut(usize) -> String) -> String {
    (1..=n).map(|i| line(i) + "\n").collect()
}

fn list(random: &mut Random) -> String {
    lines(90, |i| format!("{i}. The {}: {}.", random.noun(), random.sentence()))
}

fn poem(random: &mut Random) -> String {
    let refrain = format!(
        "O {} night, O {} sea,\nCome home, come home to me.\n",
        random.adjective(),
        random.adjective()
    );
    lines(20, |_| {
        let verse = lines(4, |_| format!("And {},", random.sentence()));
        format!("{verse}{refrain}")
    })
}

fn song(random: &mut Random) -> String {
    let line = format!(
        "We sing of the {} and the {}, na na na na na na na.\n",
        random.noun(),
        random.noun()
    );
    let chorus = line.repeat(4);
    lines(12, |_| {
        let verse = lines(4, |_| format!("Oh, {}", random.sentence()));
        format!("{verse}{chorus}{chorus}")
    })
}

fn table(random: &mut Random) -> String {
    let rows = lines(60, |i| {
        let (price, stock) = (random.below(9000), random.below(500));
        format!(
            "| {i} | {} {} | {}.{:02} | {stock} | yes |",
            random.adjective(),
            random.noun(),
            price / 100,
            price % 100
        )
    });
    format!("| No. | Article | Price | Stock | Sold |\n|----|----|----|----|----|\n{rows}")
}

fn code(random: &mut Random) -> String {
    lines(40, |i| {
        let (field, other) = (random.noun(), random.noun());
        format!(
            "    /// Returns the {field} of the {other}.\n    \
             pub fn {field}_{i}(&self) -> Result<&str, Error> {{\n        \
             self.{other}.get(\"{field}\").ok_or(Error::Missing(\"{field}\"))\n    }}\n"
        )
    })
}

fn matrix(random: &mut Random) -> String {
    let row = |n: usize, at: usize| {
        let cells: Vec<&str> = (0..n).map(|i| if i == at { "1.0" } else { "0.0" }).collect();
        format!("    [{}],", cells.join(", "))
    };
    lines(8, |i| {
        let n = 6 + random.below(4);
        let rows = lines(n, |at| row(n, at - 1));
        format!("# {}\nIDENTITY_{i} = [\n{rows}]", random.sentence())
    })
}

fn log(random: &mut Random) -> String {
    lines(60, |i| {
        let (ms, id) = (random.below(900), random.below(90_000));
        format!(
            "2026-03-{:02}T{:02}:{:02}:{:02}Z INFO server: request completed successfully \
            method=GET path=/items/{id} status=200 took={ms}ms",
            1 + i / 24,
            i % 24,
            random.below(60),
            random.below(60)
        )
    })
}

fn test_log(random: &mut Random) -> String {
    lines(120, |_| {
        format!(
            "test {}::{}_{}_{} ... ok",
            random.noun(),
            random.noun(),
            random.verb(),
            random.noun()
        )
    })
}

fn json(random: &mut Random) -> String {
    let rows = lines(50, |i| {
        format!(
            "  {{\"id\": {i}, \"name\": \"{} {}\", \"active\": true, \"score\": 0.{:03}, \
            \"tags\": []}},",
            random.adjective(),
            random.noun(),
            random.below(1000)
        )
    });
    format!("[\n{rows}]\n")
}

fn csv(random: &mut Random) -> String {
    lines(100, |i| {
        format!("{i},{},{},0,0,0,{}", random.noun(), random.below(1000), random.below(10))
    })
}

fn html(random: &mut Random) -> String {
    let rows = lines(45, |_| {
        format!(
            "  <tr><td class=\"name\">{}</td><td class=\"value\">{}</td><td></td></tr>",
            random.noun(),
            random.below(10_000)
        )
    });
    format!("<table>\n{rows}</table>\n")
}

fn hex_dump(random: &mut Random) -> String {
    lines(50, |i| {
        let bytes: Vec<String> = (0..8)
            .map(|_| format!("{:04x}", if random.below(3) == 0 { random.below(65_536) } else { 0 }))
            .collect();
        format!("{:08x}: {}  ................", i * 16, bytes.join(" "))
    })
}

fn dialogue(random: &mut Random) -> String {
    lines(60, |i| {
        let who = if i % 2 == 0 { "KING" } else { "BEGGAR" };
        format!("{who}: My friend, my friend, listen: {}.", random.sentence())
    })
}

fn contract(random: &mut Random) -> String {
    lines(25, |i| {
        format!(
            "Section {i}. The parties agree that, notwithstanding any other provision of this \
            agreement, {}; and the {} shall be governed by the laws of the {} {}.",
            random.sentence(),
            random.noun(),
            random.adjective(),
            random.noun()
        )
    })
}
