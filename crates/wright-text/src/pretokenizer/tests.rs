use super::*;

fn words<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
    let mut words = Vec::new();
    Pretokenizer::named(name).unwrap().split(text, &mut |word| words.push(word));
    words
}

#[test]
fn every_rule_compiles_and_loses_nothing() {
    let text = "It's 1234 o'clock,\r\n\tDON'T  stop… 漢字かな 한국어 \u{301}x\u{0}²½ $a+b=c\n\n   ";
    for rule in RULES {
        for name in rule.names {
            assert_eq!(words(name, text).concat(), text, "{name}");
        }
    }
    assert!(matches!(Pretokenizer::named("no-such"), Err(Error::UnknownPretokenizer(_))));
}

#[test]
fn families_cut_in_their_own_way() {
    let text = "I'M 12345 x  y\n";
    assert_eq!(words("gpt-2", text), ["I", "'", "M", " 12345", " x", " ", " y", "\n"]);
    assert_eq!(
        words("smollm", text),
        ["I", "'", "M", " ", "1", "2", "3", "4", "5", " x", " ", " y", "\n"]
    );
    assert_eq!(words("llama-bpe", text), ["I", "'M", " ", "123", "45", " x", " ", " y", "\n"]);
    assert_eq!(
        words("qwen2", text),
        ["I", "'M", " ", "1", "2", "3", "4", "5", " x", " ", " y", "\n"]
    );
    assert_eq!(words("tekken", "HelloWORLDs x"), ["Hello", "WORLDs", " x"]);
    assert_eq!(words("gpt-4o", "DON'T can't"), ["DON'T", " can't"]);
}

/// Work is counted, not timed: 200,000 of one character, and of pairs, stay linear in every rule.
#[test]
fn no_rule_is_quadratic() {
    let units =
        [" ", "a", "A", "1", "\n", "\r\n", "!", "é", "漢", "\u{301}", " \n", "a ", "'s", " !"];
    for rule in RULES {
        let pretokenizer = Pretokenizer::named(rule.names[0]).unwrap();
        for unit in units {
            let n = 20_000;
            for text in [unit.repeat(n), unit.repeat(n) + "a", unit.repeat(n) + "\n!"] {
                let steps = pretokenizer.split(&text, &mut |_| {});
                let bound = 40 * (text.chars().count() as u64 + 10);
                assert!(steps < bound, "{:?} on {unit:?}: {steps} steps", rule.names);
            }
        }
    }
}
