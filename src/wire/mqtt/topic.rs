//! Topics and filters of topics (MQTT 5.0 section 4.7).

/// The longest, in bytes (section 4.7.3).
pub const LONGEST: usize = u16::MAX as usize;

/// How a filter for a group begins, which shares what comes (section 4.8.2).
const SHARED: &str = "$share/";

/// Whether this is a topic to publish to.
#[must_use]
pub fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(['#', '+', '\0'])
}

/// Whether this is a filter; that of a group, group and all.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let filter = match shared(text) {
        Some((group, filter)) if !group.is_empty() && !group.contains(['#', '+']) => filter,
        Some(_) => return false,
        None => text,
    };
    let levels = filter.split('/').count();
    let is_level = |(at, level): (usize, &str)| match level {
        "#" => at + 1 == levels,
        "+" => true,
        _ => !level.contains(['#', '+']),
    };
    !filter.is_empty() && text.len() <= LONGEST && !filter.contains('\0') && filter.split('/').enumerate().all(is_level)
}

/// The group and the filter of a shared subscription.
#[must_use]
pub fn shared(filter: &str) -> Option<(&str, &str)> {
    let rest = filter.strip_prefix(SHARED)?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Whether a topic is one of those a filter stands for. A wildcard at the start does not stand for what begins with $.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_filters_are_told_apart() {
        for topic in ["a", "/", "a/b", "a b/ü", "a//b", "$SYS/x"] {
            assert!(is_topic(topic) && is_filter(topic), "{topic}");
        }
        for filter in ["#", "+", "a/#", "+/b/+", "/+", "$share/group/a", "$share/g/+/#"] {
            assert!(is_filter(filter), "{filter}");
        }
        for wrong in ["", "a/#/b", "a#", "a+/b", "$share//a", "$share/g", "$share/g/", "$share/g+/a", "$share/#/a"] {
            assert!(!is_filter(wrong), "{wrong}");
        }
        for wrong in ["", "#", "a/+", "a\0"] {
            assert!(!is_topic(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_filter_stands_for_its_topics() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("#", "a/b/c"),
            ("a/#", "a"),
            ("a/#", "a/"),
            ("a/#", "a/b/c"),
            ("+", "a"),
            ("+/+", "/a"),
            ("/+", "/a"),
            ("a/+/c", "a//c"),
            ("$SYS/#", "$SYS/x"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a", "a/b"),
            ("a/b", "a"),
            ("+", "/a"),
            ("+", "a/b"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
            ("A", "a"),
            ("a/b/#", "a"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }
}
