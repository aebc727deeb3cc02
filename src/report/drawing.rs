//! One picture: on the page as inline SVG, and as a file of its own. With what all pictures are made of: numbers, points,
//! text of a known width.

use std::fmt::Write;

use maud::{Markup, Render, html};

use super::style::{self, Marker, look};
use crate::units::Mode;

/// A picture.
#[derive(Debug)]
pub(super) struct Drawing {
    /// Names its file and its parts on the page: letters, digits, `-`.
    pub(super) name: String,
    /// Its accessible name.
    pub(super) title: String,
    /// What is to be seen, in sentences, for those who don't see it.
    pub(super) desc: String,
    /// Its own coordinates: from 0 to this.
    pub(super) width: f64,
    /// The same downwards.
    pub(super) height: f64,
    /// SVG elements.
    pub(super) body: Markup,
}

/// Around a picture that is a file.
const MARGIN: f64 = 12.0;

impl Drawing {
    /// For the page.
    pub(super) fn inline(&self) -> Markup {
        let (title, desc) = (format!("{}-title", self.name), format!("{}-desc", self.name));
        let view = format!("0 0 {} {}", Num(self.width).as_text(), Num(self.height).as_text());
        html! {
            svg role="img" viewBox=(view) aria-labelledby=(title) aria-describedby=(desc) {
                title id=(title) { (self.title) }
                desc id=(desc) { (self.desc) }
                (self.body)
            }
        }
    }

    /// As a file: on white ground with a margin, so that it can be put on any page, with its style in it.
    pub(super) fn file(&self) -> String {
        let (width, height) = (Num(self.width + 2.0 * MARGIN), Num(self.height + 2.0 * MARGIN));
        let view = format!("0 0 {} {}", width.as_text(), height.as_text());
        let markup = html! {
            svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox=(view)
                width=(width) height=(height) aria-labelledby="title" aria-describedby="desc" {
                title id="title" { (self.title) }
                desc id="desc" { (self.desc) }
                style { (maud::PreEscaped(style::standing_alone())) }
                rect class="paper" width=(width) height=(height) rx=(Num(MARGIN / 2.0)) {}
                g transform={ "translate(" (Num(MARGIN)) " " (Num(MARGIN)) ")" } { (self.body) }
            }
        };
        format!("{}\n", markup.into_string())
    }
}

/// A coordinate: to a tenth, and never a thing that is no number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Num(pub(super) f64);

impl Num {
    fn as_text(self) -> String {
        let mut text = String::new();
        self.render_to(&mut text);
        text
    }
}

impl Render for Num {
    fn render_to(&self, buffer: &mut String) {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() as i64 } else { 0 };
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.abs() / 10, tenths.abs() % 10);
        // Writing to a String cannot fail.
        let _ = if tenth == 0 { write!(buffer, "{sign}{whole}") } else { write!(buffer, "{sign}{whole}.{tenth}") };
    }
}

/// A mode's point. One of a second series of the same mode is hollow.
pub(super) fn marker(mode: Mode, (x, y): (f64, f64), size: f64, hollow: bool) -> Markup {
    let class = if hollow { format!("hollow s-{mode}") } else { format!("f-{mode} s-{mode}") };
    let n = |value: f64| Num(value).as_text();
    let points = |corners: &[(f64, f64)]| {
        corners
            .iter()
            .map(|(dx, dy)| format!("{},{}", n(x + dx * size), n(y + dy * size)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    html! {
        @match look(mode).marker {
            Marker::Circle => circle class=(class) cx=(Num(x)) cy=(Num(y)) r=(Num(size)) stroke-width="2" {},
            Marker::Square => rect class=(class) x=(Num(x - size * 0.9)) y=(Num(y - size * 0.9))
                width=(Num(size * 1.8)) height=(Num(size * 1.8)) stroke-width="2" {},
            Marker::Diamond => polygon class=(class) stroke-width="2"
                points=(points(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)])) {},
            Marker::Triangle => polygon class=(class) stroke-width="2"
                points=(points(&[(0.0, -1.15), (1.15, 0.9), (-1.15, 0.9)])) {},
            Marker::Plus => polygon class=(class) stroke-width="2" points=(points(&PLUS)) {},
            Marker::Star => polygon class=(class) stroke-width="2" points=(points(&STAR)) {},
        }
    }
}

const PLUS: [(f64, f64); 12] = [
    (-0.35, -1.15),
    (0.35, -1.15),
    (0.35, -0.35),
    (1.15, -0.35),
    (1.15, 0.35),
    (0.35, 0.35),
    (0.35, 1.15),
    (-0.35, 1.15),
    (-0.35, 0.35),
    (-1.15, 0.35),
    (-1.15, -0.35),
    (-0.35, -0.35),
];
const STAR: [(f64, f64); 10] = [
    (0.0, -1.35),
    (0.35, -0.49),
    (1.28, -0.42),
    (0.57, 0.19),
    (0.79, 1.09),
    (0.0, 0.6),
    (-0.79, 1.09),
    (-0.57, 0.19),
    (-1.28, -0.42),
    (-0.35, -0.49),
];

/// A mode's point as a picture of its own, for headings and tables; it says nothing that text beside it does not.
pub(super) fn swatch(mode: Mode) -> Markup {
    html! { svg class="swatch" viewBox="0 0 20 20" aria-hidden="true" { (marker(mode, (10.0, 10.0), 7.0, false)) } }
}

/// Text of one or more lines, the first one's baseline at `y`, each next one `leading` below.
pub(super) fn lines(text: &[String], class: &str, (x, y): (f64, f64), leading: f64) -> Markup {
    html! {
        @for (index, line) in text.iter().enumerate() {
            text class=(class) x=(Num(x)) y=(Num(y + leading * index as f64)) { (line) }
        }
    }
}

/// About how wide text is at a font size, rather more than less: the fonts are the reader's.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '|' | '.' | ',' | ':' | ';' | '\'' | '!' | ' ' | '·' => 0.33,
            'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' => 0.43,
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '—' | '…' => 1.0,
            'A'..='Z' => 0.73,
            _ if c.is_ascii() => 0.64,
            '\u{0300}'..='\u{036f}' => 0.0,
            '\u{1100}'.. => 1.1,
            _ => 0.74,
        })
        .sum();
    em * size
}

/// How much wider bold text is.
pub(super) const BOLD: f64 = 1.13;

/// A picture's title in lines no wider than this, as [`lines`] sets them with [`TITLE`].
pub(super) fn title_lines(text: &str, width: f64) -> Vec<String> {
    wrap(text, 20.0 * BOLD, width, 3)
}

/// The class of a title.
pub(super) const TITLE: &str = "large bold";

/// Text in lines no wider than this, broken between words, or within one that is too long; what does not fit into the
/// lines allowed ends in `…`.
pub(super) fn wrap(text: &str, size: f64, width: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if text_width(&joined, size) <= width {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if !line.is_empty() && text_width(&line, size) + text_width(c.encode_utf8(&mut [0; 4]), size) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
        if lines.len() > most {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            while !last.is_empty() && text_width(last, size) + text_width("…", size) > width {
                last.pop();
            }
            last.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_always_numbers() {
        let text = |value| Num(value).as_text();
        assert_eq!([0.0, 1.0, 1.25, -0.04, -3.16, 100.0].map(text), ["0", "1", "1.3", "0", "-3.2", "100"]);
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(text), ["0"; 3]);
    }

    #[test]
    fn text_is_broken_where_it_can_be() {
        let wide = text_width("switch without", 10.0);
        assert_eq!(wrap("switch without snooping", 10.0, wide, 3), ["switch without", "snooping"]);
        assert_eq!(wrap("switch without snooping", 10.0, wide, 1), ["switch witho…"]);
        assert_eq!(wrap("", 10.0, wide, 3), [""; 0]);
        let long = "x".repeat(500);
        let broken = wrap(&long, 10.0, 100.0, 4);
        assert_eq!(broken.len(), 4);
        assert!(broken.iter().all(|line| text_width(line, 10.0) <= 100.0) && broken[3].ends_with('…'));
        // Narrower than a letter: still something, and an end.
        assert_eq!(wrap("abc", 10.0, 1.0, 2), ["a", "…"]);
    }

    #[test]
    fn a_file_stands_alone() {
        let drawing = Drawing {
            name: "cost-1".to_owned(),
            title: "a < b & \"c\"".to_owned(),
            desc: "</desc><script>alert(1)</script>".to_owned(),
            width: 10.0,
            height: 20.5,
            body: html! { text x="1" { "<x>" } },
        };
        let file = drawing.file();
        assert!(
            file.starts_with(r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 34 44.5" "#),
            "{file}"
        );
        assert!(!file.contains("var(") && !file.contains("<script") && file.contains("&lt;x&gt;"), "{file}");
        assert!(drawing.inline().into_string().contains(r#"aria-labelledby="cost-1-title""#));
    }
}
