//! Colours, and the style sheets of the page and of a drawing that stands alone.

use crate::units::Mode;

/// The style of drawings; on the page with colours by name, in a file of its own with [`standing_alone`].
const DRAWINGS: &str = include_str!("drawing.css");
/// The style of the rest of the page.
const PAGE: &str = include_str!("page.css");

/// How a mode looks wherever it is drawn: its colour is that of its name in [`COLOURS`], and these tell it apart where
/// colours don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The shape of its points.
    pub(super) marker: Marker,
    /// `stroke-dasharray` of its lines.
    pub(super) dash: &'static str,
}

/// The shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Round.
    Circle,
    /// Upright.
    Square,
    /// On its corner.
    Diamond,
    /// Point up.
    Triangle,
    /// With four thick arms.
    Plus,
    /// With five points.
    Star,
}

/// How a mode looks.
pub(super) fn look(mode: Mode) -> Look {
    match mode {
        Mode::Unicast => Look { marker: Marker::Circle, dash: "none" },
        Mode::Broadcast => Look { marker: Marker::Square, dash: "9 4" },
        Mode::RawBroadcast => Look { marker: Marker::Diamond, dash: "3 3" },
        Mode::Multicast => Look { marker: Marker::Triangle, dash: "12 3 3 3" },
        Mode::Chat => Look { marker: Marker::Plus, dash: "18 6" },
        Mode::Pubsub => Look { marker: Marker::Star, dash: "12 3 3 3 3 3" },
    }
}

/// The class that fills the part of a chart for packets that ended here.
pub(super) fn end(title: &str) -> &'static str {
    match title {
        "filtered by the card" => "f-end0",
        "slow link full" => "f-end1",
        "link ring full" => "f-end2",
        "not my MAC" => "f-end3",
        "dropped by link" => "f-end4",
        "discarded by IP" => "f-end5",
        "group not joined" => "f-end6",
        "nobody listening" => "f-end7",
        "no such port" => "f-end8",
        "socket buffer full" => "f-end9",
        "to the program" => "f-end10",
        "to TCP" => "f-end11",
        "of another flow" => "f-end12",
        // What no layer tells apart.
        _ => "f-end13",
    }
}

/// Name, on light ground, on dark ground. Those of modes bear the mode's name. Modes' colours are blue, vermilion,
/// reddish purple, bluish green, brown (yellow on dark ground) and indigo, which people with any of the usual colour
/// deficiencies tell apart.
const COLOURS: &[(&str, &str, &str)] = &[
    ("paper", "#ffffff", "#14171c"),
    ("raised", "#f4f6f8", "#1e232b"),
    ("ink", "#14181d", "#eef1f5"),
    ("muted", "#545c66", "#a8b1bd"),
    ("rule", "#d3d8de", "#39414c"),
    ("link", "#00569c", "#7cc0ff"),
    // Text on a filled ground.
    ("on", "#ffffff", "#10131a"),
    ("good", "#00704f", "#3fcf9f"),
    ("bad", "#b3261e", "#ff8f86"),
    ("fair", "#855300", "#f0b64a"),
    ("unicast", "#0068b0", "#62b4f5"),
    ("broadcast", "#cc4800", "#ff8d50"),
    ("raw-broadcast", "#a0437d", "#e394c4"),
    ("multicast", "#00795b", "#3fc99e"),
    ("chat", "#5c3000", "#f2e000"),
    ("pubsub", "#2c1a80", "#6f80f5"),
    // Steps of a cost, from nothing to the most.
    ("cost0", "#ffffff", "#14171c"),
    ("cost1", "#fee8c8", "#4d2a1c"),
    ("cost2", "#fdc38d", "#83401f"),
    ("cost3", "#fc8d59", "#bd5a26"),
    ("cost4", "#d7432b", "#f08a45"),
    ("cost5", "#8f0f0a", "#ffcf9e"),
    ("on-low", "#14181d", "#eef1f5"),
    ("on-high", "#ffffff", "#10131a"),
    // Where packets end, from the link up, as `end` names them: none is a mode's colour, losses are red, and what got
    // through is strongest.
    ("end0", "#66707c", "#a9b4c0"),
    ("end1", "#b0355c", "#ff9fc0"),
    ("end2", "#8f1d1d", "#ff9d96"),
    ("end3", "#0d6b80", "#57c4d8"),
    ("end4", "#56662b", "#b3c677"),
    ("end5", "#6f3a63", "#d6a3cc"),
    ("end6", "#876300", "#e3c04f"),
    ("end7", "#465587", "#a3b1e6"),
    ("end8", "#78492b", "#d3a27f"),
    ("end9", "#c22424", "#ff7f78"),
    ("end10", "#1f2b36", "#d5dee8"),
    ("end11", "#1d4d45", "#a8d8cc"),
    ("end12", "#6b5b3e", "#cbb994"),
    ("end13", "#6d737c", "#9aa1ab"),
];

/// The style sheet of the page, its drawings included. Paper is light, whatever the screen is.
pub(super) fn of_page() -> String {
    let block = |which: fn(&(&str, &str, &str)) -> String| COLOURS.iter().map(which).collect::<String>();
    let light = block(|(name, light, _)| format!("--{name}:{light};"));
    let dark = block(|(name, _, dark)| format!("--{name}:{dark};"));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
         {PAGE}{DRAWINGS}"
    )
}

/// The style sheet of a drawing in a file of its own: on light ground, without variables, which few programs that show
/// slides know.
pub(super) fn standing_alone() -> String {
    let drawings = DRAWINGS.replace("svg ", "");
    COLOURS.iter().fold(drawings, |css, (name, light, _)| css.replace(&format!("var(--{name})"), light))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2).
    fn luminance(colour: &str) -> f64 {
        let [red, green, blue] = linear(colour);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Linear red, green and blue of an sRGB colour.
    fn linear(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn of(name: &str) -> [&'static str; 2] {
        let (_, light, dark) = COLOURS.iter().find(|(other, ..)| *other == name).unwrap_or_else(|| panic!("{name}"));
        [light, dark]
    }

    #[test]
    fn everything_can_be_read_and_told_from_the_ground() {
        let at_least = |contrasts: f64, front: &str, ground: &str| {
            for (front_colour, ground_colour) in of(front).into_iter().zip(of(ground)) {
                let found = contrast(front_colour, ground_colour);
                assert!(found >= contrasts, "{front} {front_colour} on {ground} {ground_colour}: {found:.2}");
            }
        };
        for text in ["ink", "muted", "link", "good", "bad", "fair"] {
            at_least(4.5, text, "paper");
            at_least(4.5, text, "raised");
        }
        for filled in ["good", "bad", "fair"] {
            at_least(4.5, "on", filled);
        }
        for end in 0..=13 {
            at_least(4.5, "on", &format!("end{end}"));
        }
        for low in ["cost0", "cost1", "cost2", "cost3"] {
            at_least(3.9, "on-low", low);
        }
        for high in ["cost4", "cost5"] {
            at_least(4.0, "on-high", high);
        }
        for mode in Mode::ALL {
            at_least(4.5, mode.as_str(), "paper");
        }
    }

    /// A colour as CIELAB, seen through a matrix on linear RGB.
    fn lab(colour: &str, seen: [[f64; 3]; 3]) -> [f64; 3] {
        let times = |row: [f64; 3], of: [f64; 3]| row.into_iter().zip(of).map(|(a, b)| a * b).sum::<f64>();
        let linear = seen.map(|row| times(row, linear(colour)).clamp(0.0, 1.0));
        let part = |row: [f64; 3], white: f64| {
            let part = times(row, linear) / white;
            if part > 0.008_856 { part.cbrt() } else { 7.787 * part + 16.0 / 116.0 }
        };
        let x = part([0.4124, 0.3576, 0.1805], 0.950_47);
        let y = part([0.2126, 0.7152, 0.0722], 1.0);
        let z = part([0.0193, 0.1192, 0.9505], 1.088_83);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn modes_are_told_apart_whatever_colours_one_sees() {
        // As everybody, and without each kind of cone (Machado, Oliveira and Fernandes 2009, severity 1).
        const SEEN: [[[f64; 3]; 3]; 4] = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ];
        for (index, one) in Mode::ALL.into_iter().enumerate() {
            for other in Mode::ALL.into_iter().skip(index + 1) {
                for (ground, seen) in (0..2).flat_map(|ground| SEEN.map(|seen| (ground, seen))) {
                    let [a, b] = [one, other].map(|mode| lab(of(mode.as_str())[ground], seen));
                    let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(apart > 10.0, "{one} and {other} on ground {ground}: {apart:.1}");
                }
            }
        }
    }

    #[test]
    fn modes_differ_in_more_than_colour() {
        for (index, one) in Mode::ALL.into_iter().enumerate() {
            for other in Mode::ALL.into_iter().skip(index + 1) {
                assert_ne!(look(one).marker, look(other).marker);
                assert_ne!(look(one).dash, look(other).dash);
            }
        }
    }

    #[test]
    fn no_colour_is_without_a_name_and_no_file_needs_names() {
        assert!(!standing_alone().contains("var("), "{}", standing_alone());
        for (name, ..) in COLOURS.iter().filter(|(name, ..)| name.starts_with("end") || name.starts_with("cost")) {
            assert!(DRAWINGS.contains(&format!(".f-{name}{{fill:var(--{name})}}")), "{name} fills nothing");
        }
        for mode in Mode::ALL {
            let both = format!("svg .s-{mode}{{stroke:var(--{mode})}}svg .f-{mode}{{fill:var(--{mode})}}");
            assert!(DRAWINGS.contains(&both), "{both}");
        }
        for used in PAGE.split("var(--").skip(1) {
            of(used.split(')').next().unwrap());
        }
    }
}
