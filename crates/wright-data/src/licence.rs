//! The licence that a text declares, as an SPDX identifier if it is a known one.
//!
//! Declarations are taken literally; nothing here judges whether they are true or sufficient.

use crate::cut;
use std::collections::BTreeMap;

/// What is written where nobody says.
pub const UNKNOWN: &str = "unknown";

/// A licence file that is none of those that are known.
const UNRECOGNISED: &str = "LicenseRef-unrecognised";

/// Phrases that a licence's text has, in lower case and with single spaces; the first whose
/// phrases are all there is it.
const PHRASES: &[(&str, &[&str])] = &[
    ("CC0-1.0", &["cc0 1.0 universal"]),
    ("CC0-1.0", &["creative commons zero"]),
    ("CC-BY-NC-SA-4.0", &["attribution-noncommercial-sharealike 4.0"]),
    ("CC-BY-NC-ND-4.0", &["attribution-noncommercial-noderivatives 4.0"]),
    ("CC-BY-NC-4.0", &["attribution-noncommercial 4.0"]),
    ("CC-BY-SA-4.0", &["attribution-sharealike 4.0"]),
    ("CC-BY-SA-3.0", &["attribution-sharealike 3.0"]),
    ("CC-BY-ND-4.0", &["attribution-noderivatives 4.0"]),
    ("CC-BY-4.0", &["attribution 4.0 international"]),
    ("CC-BY-3.0", &["attribution 3.0 unported"]),
    ("Apache-2.0", &["apache license", "version 2.0, january 2004"]),
    ("AGPL-3.0-only", &["gnu affero general public license", "version 3, 19 november 2007"]),
    ("LGPL-3.0-only", &["gnu lesser general public license", "version 3, 29 june 2007"]),
    ("LGPL-2.1-only", &["gnu lesser general public license", "version 2.1, february 1999"]),
    ("GPL-3.0-only", &["gnu general public license", "version 3, 29 june 2007"]),
    ("GPL-2.0-only", &["gnu general public license", "version 2, june 1991"]),
    ("MPL-2.0", &["mozilla public license", "version 2.0"]),
    ("Unlicense", &["free and unencumbered software released into the public domain"]),
    ("MIT", &["permission is hereby granted, free of charge", "\"as is\""]),
    ("ISC", &["permission to use, copy, modify, and/or distribute this software"]),
    ("BSD-3-Clause", &["redistribution and use in source and binary", "neither the name"]),
    ("BSD-2-Clause", &["redistribution and use in source and binary"]),
];

/// Web addresses of licences.
const ADDRESSES: &[(&str, &str)] = &[
    ("creativecommons.org/publicdomain/zero/1.0", "CC0-1.0"),
    ("creativecommons.org/publicdomain/mark/1.0", "LicenseRef-public-domain"),
    ("creativecommons.org/licenses/by-nc-sa/4.0", "CC-BY-NC-SA-4.0"),
    ("creativecommons.org/licenses/by-nc-nd/4.0", "CC-BY-NC-ND-4.0"),
    ("creativecommons.org/licenses/by-nc/4.0", "CC-BY-NC-4.0"),
    ("creativecommons.org/licenses/by-sa/4.0", "CC-BY-SA-4.0"),
    ("creativecommons.org/licenses/by-sa/3.0", "CC-BY-SA-3.0"),
    ("creativecommons.org/licenses/by/4.0", "CC-BY-4.0"),
    ("creativecommons.org/licenses/by/3.0", "CC-BY-3.0"),
    ("apache.org/licenses/license-2.0", "Apache-2.0"),
    ("opensource.org/licenses/mit", "MIT"),
];

/// Whether a file of this name states the licence of what lies beside and below it.
pub fn is_licence_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
    matches!(stem, "license" | "licence" | "copying" | "unlicense")
}

/// What a licence file says.
pub fn of_licence_file(text: &str) -> String {
    if let Some(id) = spdx_line(text) {
        return id;
    }
    let begin = cut::prefix(text, 20_000).to_lowercase();
    let words: Vec<&str> = begin.split_whitespace().collect();
    let plain = words.join(" ");
    let known = PHRASES.iter().find(|(_, phrases)| phrases.iter().all(|p| plain.contains(p)));
    known.map_or(UNRECOGNISED, |(id, _)| id).to_owned()
}

/// What stands in a field or an address: the address of a known licence becomes its name; else
/// the words themselves, if they are a line of at most 100 characters.
pub fn of_field(text: &str) -> Option<String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if let Some((_, id)) = ADDRESSES.iter().find(|(address, _)| lower.contains(address)) {
        return Some((*id).to_owned());
    }
    let fits = !text.is_empty() && text.chars().count() <= 100 && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

/// The expression of an `SPDX-License-Identifier:` line near the beginning of a text.
pub fn spdx_line(text: &str) -> Option<String> {
    const MARK: &str = "SPDX-License-Identifier:";
    let begin = cut::prefix(text, 2000);
    let line = begin.split_once(MARK)?.1.lines().next()?;
    let id = line.trim().trim_end_matches(['*', '/', '-', '>', ' ', '"', '\'']);
    of_field(id)
}

/// The licences that files state for their folders.
#[derive(Debug, Clone, Default)]
pub struct Folders(BTreeMap<String, String>);

impl Folders {
    /// Two files in one folder count as both licences at once: nobody can tell a choice from a
    /// sum, and whoever keeps both is safe.
    pub fn insert(&mut self, folder: &str, licence: &str) {
        let all = self.0.entry(folder.to_owned()).or_default();
        if all.split(" AND ").any(|one| one == licence) {
            return;
        }
        let mut ids: Vec<&str> = all.split(" AND ").filter(|id| !id.is_empty()).collect();
        ids.push(licence);
        ids.sort_unstable();
        *all = ids.join(" AND ");
    }

    /// The licence of a file by the nearest folder above it that states one.
    pub fn of(&self, path: &str) -> Option<&str> {
        let mut folder = path;
        loop {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            if let Some(licence) = self.0.get(folder) {
                return Some(licence);
            }
            if folder.is_empty() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_known_by_name_line_and_text() {
        assert!(is_licence_file("LICENSE-MIT") && is_licence_file("COPYING"));
        assert!(is_licence_file("licence.md") && !is_licence_file("licensed-fun.txt"));
        let mit = "MIT License\n\nPermission is hereby granted, free\nof charge, … \"AS IS\" …";
        assert_eq!(of_licence_file(mit), "MIT");
        assert_eq!(of_licence_file("All rights reserved."), UNRECOGNISED);
        let code = "// SPDX-License-Identifier: MIT OR Apache-2.0\nfn main() {}";
        assert_eq!(spdx_line(code).unwrap(), "MIT OR Apache-2.0");
        assert_eq!(spdx_line("/* SPDX-License-Identifier: ISC */").unwrap(), "ISC");
        let address = "https://creativecommons.org/licenses/by-sa/4.0/deed.en";
        assert_eq!(of_field(address).unwrap(), "CC-BY-SA-4.0");
        assert_eq!(of_field(" "), None);
    }

    #[test]
    fn the_nearest_folder_decides_and_two_files_are_both() {
        let mut folders = Folders::default();
        folders.insert("a", "MIT");
        folders.insert("a/b", "MPL-2.0");
        folders.insert("a", "Apache-2.0");
        folders.insert("a", "MIT");
        assert_eq!(folders.of("a/b/c/x.txt"), Some("MPL-2.0"));
        assert_eq!(folders.of("a/x.txt"), Some("Apache-2.0 AND MIT"));
        assert_eq!(folders.of("z/x.txt"), None);
    }
}
