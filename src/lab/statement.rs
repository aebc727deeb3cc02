//! The lecture's statements, which the claims of labs belong to: what `L3` stands for.

/// The statements by the key that lab files name them by.
pub const STATEMENTS: [(&str, &str); 12] = [
    ("L1", "Broadcast is one to all, at the same time: every device in the broadcast domain gets the frame."),
    (
        "L2",
        "A network card drops a frame whose destination MAC is not its own, but a broadcast frame is always read by the CPU.",
    ),
    ("L3", "Broadcast reaches all nodes, so total traffic grows."),
    ("L4", "Every CPU that gets the frame processes it, so the PCs' performance drops."),
    (
        "L5",
        "Unicast is one to one. On a shared medium all PCs see the frame, compare the MAC and drop it if it isn't theirs.",
    ),
    ("L6", "Unicast does not lower the CPU performance of other PCs."),
    ("L7", "Multicast is one to n: of 200 users, 150 receive and the other 50 are not affected."),
    ("L8", "Multicast solves what is wrong with both broadcast and unicast."),
    (
        "L9",
        "Chat: a server socket only waits and accepts; each client has a socket and a thread, whose endless loop relays \
         each message at once to all. A stream once opened serves for long.",
    ),
    (
        "L10",
        "Client and server exchange messages by an agreed protocol; the client needs to know nothing of the server's \
         insides; distance matters to speed.",
    ),
    (
        "L11",
        "Publishers and subscribers know a topic, not each other. The broker makes it dependable and easy to extend, but \
         slow, as all goes through it.",
    ),
    ("L12", "(What the lecture leaves out.)"),
];

/// What a statement says; `None` for a key that is none of the lecture's.
pub fn sentence(key: &str) -> Option<&'static str> {
    STATEMENTS.iter().find(|(known, _)| *known == key).map(|(_, sentence)| *sentence)
}

/// All of them with their keys, a line each, for editors.
#[cfg(test)]
pub fn legend() -> String {
    STATEMENTS.iter().map(|(key, sentence)| format!("\n{key}: {sentence}")).collect()
}

/// What the statements say that a claim names (`L3 L8`), one after the other; empty for those of other lectures.
pub fn sentences(statement: &str) -> String {
    statement.split_whitespace().filter_map(sentence).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::library::LABS;
    use super::super::read;
    use super::*;

    #[test]
    fn keys_stand_for_sentences() {
        assert_eq!(sentence("L3"), Some("Broadcast reaches all nodes, so total traffic grows."));
        assert_eq!(
            sentences(" L3  L8"),
            "Broadcast reaches all nodes, so total traffic grows. \
             Multicast solves what is wrong with both broadcast and unicast."
        );
        assert_eq!(sentences("M4 L13"), "");
        for (number, (key, sentence)) in (1..).zip(STATEMENTS) {
            assert_eq!(key, format!("L{number}"));
            assert!(!sentence.contains("  ") && sentence.ends_with(['.', ')']), "{sentence}");
        }
    }

    #[test]
    fn every_statement_has_a_claim_and_every_claim_a_statement() {
        let mut shown = std::collections::BTreeSet::new();
        for entry in LABS {
            let lab = read(entry.name, entry.toml.as_bytes()).unwrap();
            for claim in &lab.claims {
                let keys: Vec<&str> = claim.statement.split_whitespace().collect();
                assert!(!keys.is_empty(), "{}: {}", entry.name, claim.says);
                shown.extend(
                    keys.into_iter().map(|key| sentence(key).unwrap_or_else(|| panic!("{}: {key}", entry.name))),
                );
            }
        }
        assert_eq!(shown.len(), STATEMENTS.len());
    }
}
