//! What is asked of a model where drafts are measured: each with the text that it is about.
//!
//! Small models do not always do as they are told. Six prompts a kind, none left out for what came
//! of it, tell more of drafts than of one answer.

/// A kind of task, and prompts of it: what to do, and with what.
pub const TASKS: [(&str, &[(&str, &str)]); 4] = [
    (
        "copy",
        &[
            ("Repeat the following text word for word.", LETTER),
            ("Repeat this program exactly, in a code block.", MEAN),
            ("Repeat this text exactly:", RIVER),
            ("Print this log again, without changes:", LOG),
            ("Copy this recipe word for word:", BREAD),
            ("Repeat this code exactly:", AREA),
        ],
    ),
    (
        "edit",
        &[
            (
                "Rename the function `mean` to `average` in this program and print the whole \
                 program in a code block.",
                MEAN,
            ),
            (
                "Change the name Okafor to Lindqvist in this letter and print the whole letter, \
                 with nothing else changed.",
                LETTER,
            ),
            ("Replace every INFO by DEBUG in this log and print it all:", LOG),
            ("Rename `area` to `surface` and print the whole program:", AREA),
            ("Change the flour to 600 g and print the whole recipe:", BREAD),
            ("Correct the mistakes in this text and print it whole:", MISTAKES),
        ],
    ),
    (
        "JSON",
        &[
            (
                "Turn this table into a JSON array of objects with the keys name, age, city and \
                 job.",
                PEOPLE,
            ),
            ("Print this JSON again with every population doubled.", CITIES),
            ("Turn each line of this log into a JSON object with time, level and message:", LOG),
            ("Write a JSON array of five books with title, author and year.", ""),
            ("Make a JSON object of this recipe with the keys ingredients and steps:", BREAD),
            ("Print this as JSON with the keys id, product, price:", FURNITURE),
        ],
    ),
    (
        "prose",
        &[
            ("Write a short story about a lighthouse keeper who finds a letter.", ""),
            ("Explain to a child why the sea is salty.", ""),
            ("Describe an autumn morning in a mountain village.", ""),
            ("Write a poem about winter.", ""),
            ("Explain how a bicycle stays upright.", ""),
            ("Write a letter to a friend about a new job.", ""),
        ],
    ),
];

const LETTER: &str = "Dear Mrs. Okafor, thank you for your order of 14 May. Two of the five lamps \
    that you chose are not in stock at the moment. We expect them on 3 June and will send all five \
    together, unless you would like the first three now. Please tell us by telephone or by post \
    which you prefer. With kind regards, Anton Reuter, Reuter & Daughters, 12 Harbour Street.";

const MEAN: &str = "```python\n\
    def mean(values):\n    total = 0.0\n    for value in values:\n        total += value\n    \
    return total / len(values)\n\n\ndef variance(values):\n    centre = mean(values)\n    \
    total = 0.0\n    for value in values:\n        total += (value - centre) ** 2\n    \
    return total / (len(values) - 1)\n```";

const AREA: &str = "```rust\n\
    fn area(width: f64, height: f64) -> f64 {\n    width * height\n}\n\n\
    fn main() {\n    let width = 3.0;\n    let height = 4.5;\n    \
    println!(\"area: {}\", area(width, height));\n}\n```";

const RIVER: &str = "The river begins in the hills above the old town, where three springs meet \
    under a stand of alders. From there it runs south through meadows that flood every spring, \
    past the mill that has stood since 1702, and under the two stone bridges. In summer children \
    swim below the second bridge, and in winter the whole village comes to see whether the ice \
    will hold.";

const MISTAKES: &str = "The river begin in the hills above the old town, where three spring meet \
    under a stand of alders. From there it run south through meadows that floods every spring, \
    past the mill that have stood since 1702.";

const LOG: &str = "2024-03-02 11:04:12 INFO server started on port 8080\n\
    2024-03-02 11:04:15 WARN cache folder is missing, using memory\n\
    2024-03-02 11:05:01 INFO request /index.html took 12 ms\n\
    2024-03-02 11:05:07 ERROR request /search failed: timeout after 5000 ms\n\
    2024-03-02 11:05:09 INFO request /index.html took 9 ms";

const BREAD: &str = "Ingredients: 500 g flour, 10 g salt, 7 g yeast, 320 ml water. Mix everything \
    and knead for ten minutes. Let the dough rest for an hour. Shape it into a loaf, let it rise \
    for forty minutes, and bake it at 230 degrees for half an hour.";

const PEOPLE: &str = "Maria Lopez, 34, Seville, baker\nJonas Berg, 51, Bergen, fisherman\n\
    Aiko Tanaka, 28, Kyoto, carpenter\nPeter Novak, 45, Brno, teacher\n\
    Amina Diallo, 39, Dakar, doctor\nLiam Byrne, 62, Cork, farmer";

const CITIES: &str = "[{\"city\": \"Arlen\", \"population\": 1200, \"river\": \"Tamm\"},\n \
    {\"city\": \"Bewick\", \"population\": 3400, \"river\": \"Tamm\"},\n \
    {\"city\": \"Corle\", \"population\": 2500, \"river\": \"Oss\"},\n \
    {\"city\": \"Dunmore\", \"population\": 4100, \"river\": \"Oss\"}]";

const FURNITURE: &str = "1 lamp 20\n2 table 85\n3 chair 40\n4 shelf 55\n5 carpet 120";
