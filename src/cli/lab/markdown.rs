//! A handout in Markdown for the terminal: headings and strong words bold, paragraphs, lists and rows of tables in lines
//! that fit, drawings as they stand, as far as there is room.

use crate::cli::paragraph::{fitted, wrapped};
use crate::results::grid::width;
use crate::results::table::Paint;

/// The text in lines of at most `columns`, where they can be broken.
pub(super) fn rendered(text: &str, columns: usize, paint: Paint) -> String {
    let mut out = String::new();
    let mut paragraph = Paragraph::default();
    let mut in_code = false;
    let mut drawn = 0;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            paragraph.flush(&mut out, columns, paint);
            in_code = !in_code;
            if !in_code && drawn > columns {
                let remark = format!("(drawn in {drawn} columns; the terminal has {columns})");
                push(&mut out, &paint.dim(&wrapped(&remark, columns, "", "").join("\n")));
            }
            drawn = 0;
            continue;
        }
        if in_code {
            drawn = drawn.max(width(line));
            push(&mut out, &cut(line, columns));
        } else if line.starts_with('|') {
            paragraph.flush(&mut out, columns, paint);
            push(&mut out, &fitted(line, columns));
        } else if let Some(heading) = heading(line) {
            paragraph.flush(&mut out, columns, paint);
            let lines: Vec<String> = wrapped(heading, columns, "", "").iter().map(|line| paint.bold(line)).collect();
            push(&mut out, &lines.join("\n"));
        } else if line.trim().is_empty() {
            paragraph.flush(&mut out, columns, paint);
            out.push('\n');
        } else {
            let mark = list_mark(line);
            if mark > 0 {
                paragraph.flush(&mut out, columns, paint);
                paragraph.mark = line[..mark].to_owned();
            }
            paragraph.text += &line[mark..];
            paragraph.text.push(' ');
        }
    }
    paragraph.flush(&mut out, columns, paint);
    out
}

/// What is to be one paragraph, or one item of a list after its mark.
#[derive(Default)]
struct Paragraph {
    mark: String,
    text: String,
}

impl Paragraph {
    fn flush(&mut self, out: &mut String, columns: usize, paint: Paint) {
        let Paragraph { mark, text } = std::mem::take(self);
        if text.is_empty() {
            return;
        }
        let indent = " ".repeat(mark.chars().count());
        // The signs of strong words and of code are left out of the count: lines are a little short, never long.
        push(out, &strong(&wrapped(&text, columns, &mark, &indent).join("\n"), paint));
    }
}

/// A line of a drawing up to the last word there is room for.
fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let room: String = line.chars().take(columns.saturating_sub(1)).collect();
    let words = room.rsplit_once(' ').map_or("", |(words, _)| words);
    format!("{words} …")
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// The words of a heading.
fn heading(line: &str) -> Option<&str> {
    let words = line.trim_start_matches('#');
    let is_heading = words.len() < line.len() && line.len() - words.len() <= 6 && words.starts_with(' ');
    is_heading.then(|| words.trim())
}

/// How many bytes of the line are its indent and the mark of an item: `- `, `* `, `1. `; 0 without a mark.
fn list_mark(line: &str) -> usize {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if text.starts_with("- ") || text.starts_with("* ") {
        indent + 2
    } else if digits > 0 && text[digits..].starts_with(". ") {
        indent + digits + 2
    } else {
        0
    }
}

/// `**words**` in bold.
fn strong(text: &str, paint: Paint) -> String {
    let parts: Vec<&str> = text.split("**").collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned(); // one sign has no other
    }
    let shown = parts
        .iter()
        .enumerate()
        .map(|(index, part)| if index % 2 == 1 { paint.bold(part) } else { (*part).to_owned() });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handout_for_the_terminal() {
        let text = "# Who *pays*?\n\nOne host\nhas a message.\n\n## Do\n1. first **strong** word and more\n2. second\n   goes on\n- x\n\n```\n  code   stays\n```\n| a | b |\n#no heading\n";
        assert_eq!(
            rendered(text, 20, Paint::Plain).lines().collect::<Vec<_>>(),
            [
                "Who *pays*?",
                "",
                "One host has a",
                "message.",
                "",
                "Do",
                "1. first strong",
                "   word and more",
                "2. second goes on",
                "- x",
                "",
                "  code   stays",
                "| a | b |",
                "#no heading",
            ]
        );
        let painted = rendered(text, 20, Paint::Ansi);
        assert!(painted.starts_with("\u{1b}[1mWho *pays*?\u{1b}[0m\n"), "{painted:?}");
        assert!(painted.contains("\u{1b}[1mstrong\u{1b}[0m"), "{painted:?}");
    }

    #[test]
    fn a_drawing_ends_where_the_terminal_does() {
        let text = "```\n h1 ──┐  receivers\n h2 ──┘\n```\n| one | two words | three |\n";
        assert_eq!(
            rendered(text, 16, Paint::Plain).lines().collect::<Vec<_>>(),
            [
                " h1 ──┐  …",
                " h2 ──┘",
                "(drawn in 18",
                "columns; the",
                "terminal has 16)",
                "| one | two",
                "words | three |",
            ]
        );
    }

    #[test]
    fn a_sign_without_its_other_stays() {
        assert_eq!(rendered("2 ** 3", 40, Paint::Ansi), "2 ** 3\n");
    }
}
