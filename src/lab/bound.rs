//! Bounds of claims: expressions over the numbers of a condition. Pure.

use std::fmt;

use crate::results::factor::Factor;
use crate::run::Condition;
use crate::units::Role;

/// An expression of numbers, `+ - * /`, brackets, and names, which stand for the condition's own value: those of
/// [`Factor`]s that are numbers, and `bystanders`. Prints as it is read out: `2 × receivers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    words: String,
    tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Number(f64),
    Name(Name),
    Negative(Box<Tree>),
    Both(Box<Tree>, Operator, Box<Tree>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    Factor(Factor),
    Bystanders,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

/// Longer ones are nobody's. It bounds the depth of the tree as well.
const MOST_CHARACTERS: usize = 200;

impl Bound {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong at which character, counted from 1, and what would be right.
    pub fn parse(text: &str) -> Result<Bound, String> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(format!("a bound has at most {MOST_CHARACTERS} characters"));
        }
        let mut parser = Parser { rest: tokens(text)?, end: text.chars().count() + 1, words: String::new() };
        let tree = parser.sum()?;
        match parser.rest.first() {
            None => Ok(Bound { words: parser.words, tree }),
            Some(_) => Err(parser.expected("+, -, *, / or the end")),
        }
    }

    /// Its value in a condition, always finite.
    ///
    /// # Errors
    /// Why it has none there.
    pub fn of(&self, condition: &Condition) -> Result<f64, &'static str> {
        self.value(&|name| match name {
            Name::Factor(factor) => factor.of(condition).number().ok_or("the rate is max there, which is no number"),
            Name::Bystanders => Ok(condition.count(Role::Bystander) as f64),
        })
    }

    /// Its value where it has no names in it.
    pub fn constant(&self) -> Option<f64> {
        self.value(&|_| Err("")).ok()
    }

    fn value(&self, of: &dyn Fn(Name) -> Result<f64, &'static str>) -> Result<f64, &'static str> {
        let value = self.tree.value(of)?;
        if value.is_finite() { Ok(value) } else { Err("the bound is beyond all numbers there") }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.words)
    }
}

impl Tree {
    fn value(&self, of: &dyn Fn(Name) -> Result<f64, &'static str>) -> Result<f64, &'static str> {
        Ok(match self {
            Tree::Number(number) => *number,
            Tree::Name(name) => of(*name)?,
            Tree::Negative(tree) => -tree.value(of)?,
            Tree::Both(left, operator, right) => {
                let (left, right) = (left.value(of)?, right.value(of)?);
                match operator {
                    Operator::Plus => left + right,
                    Operator::Minus => left - right,
                    Operator::Times => left * right,
                    Operator::Over if right == 0.0 => return Err("the bound divides by 0 there"),
                    Operator::Over => left / right,
                }
            }
        })
    }
}

/// A word of the text and the character it begins at, from 1.
#[derive(Clone, Debug)]
struct Token {
    at: usize,
    text: String,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens: Vec<Token> = Vec::new();
    // The kind of the character before, where it goes on in the next.
    let mut before = None;
    for (at, c) in (1..).zip(text.chars()) {
        let kind = match c {
            '0'..='9' | '.' => Some('0'),
            'a'..='z' | 'A'..='Z' | '_' => Some('a'),
            '+' | '-' | '*' | '/' | '(' | ')' | ' ' => None,
            _ => return Err(format!("character {at}, '{c}': a bound has numbers, names, + - * / and ( ) in it")),
        };
        match tokens.last_mut().filter(|_| kind.is_some() && kind == before) {
            Some(token) => token.text.push(c),
            None if c == ' ' => {}
            None => tokens.push(Token { at, text: c.to_string() }),
        }
        before = kind;
    }
    Ok(tokens)
}

struct Parser {
    rest: Vec<Token>,
    /// The character after the last.
    end: usize,
    /// What was read, to be read out.
    words: String,
}

impl Parser {
    /// `product + product - …`
    fn sum(&mut self) -> Result<Tree, String> {
        let mut tree = self.product()?;
        while let Some(operator) = self.operator([("+", Operator::Plus, " + "), ("-", Operator::Minus, " − ")]) {
            tree = Tree::Both(Box::new(tree), operator, Box::new(self.product()?));
        }
        Ok(tree)
    }

    /// `signed * signed / …`
    fn product(&mut self) -> Result<Tree, String> {
        let mut tree = self.signed()?;
        while let Some(operator) = self.operator([("*", Operator::Times, " × "), ("/", Operator::Over, " / ")]) {
            tree = Tree::Both(Box::new(tree), operator, Box::new(self.signed()?));
        }
        Ok(tree)
    }

    /// A number, a name, or one of these after a minus, or a sum in brackets.
    fn signed(&mut self) -> Result<Tree, String> {
        if self.take("-", "−") {
            return Ok(Tree::Negative(Box::new(self.signed()?)));
        }
        if self.take("(", "(") {
            let tree = self.sum()?;
            return if self.take(")", ")") { Ok(tree) } else { Err(self.expected("+, -, *, / or )")) };
        }
        let tree = match self.rest.first() {
            Some(token) if token.text.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                token.text.parse().ok().map(Tree::Number)
            }
            Some(token) => Name::named(&token.text).map(Tree::Name),
            None => None,
        };
        let tree = tree.ok_or_else(|| self.expected(&format!("a number, ( or a name ({})", Name::names())))?;
        self.words += &self.rest.remove(0).text;
        Ok(tree)
    }

    fn operator(&mut self, known: [(&str, Operator, &str); 2]) -> Option<Operator> {
        let (_, operator, _) = known.into_iter().find(|(text, _, words)| self.take(text, words))?;
        Some(operator)
    }

    /// Whether the next word is this one, which is then read.
    fn take(&mut self, text: &str, words: &str) -> bool {
        let is_next = self.rest.first().is_some_and(|token| token.text == text);
        if is_next {
            self.words += words;
            self.rest.remove(0);
        }
        is_next
    }

    fn expected(&self, what: &str) -> String {
        match self.rest.first() {
            Some(Token { at, text }) => format!("character {at}, '{text}': {what} should stand here"),
            None => format!("character {}: it ends where {what} should stand", self.end),
        }
    }
}

impl Name {
    fn all() -> impl Iterator<Item = (&'static str, Name)> {
        let factors = Factor::numbers().map(|factor| (factor.about().key, Name::Factor(factor)));
        factors.chain([("bystanders", Name::Bystanders)])
    }

    fn named(text: &str) -> Option<Name> {
        Name::all().find(|(name, _)| *name == text).map(|(_, name)| name)
    }

    fn names() -> String {
        Name::all().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Case, Design};
    use crate::units::Rate;

    fn condition(rate: Rate) -> Condition {
        let case = Case { hosts: vec![21], receivers: vec![4], rate: vec![rate], ttl: vec![3], ..Case::default() };
        let design = Design { cases: vec![case], trials: 1, seed: 1, try_rates: Vec::new() };
        design.plan().unwrap().conditions.remove(0)
    }

    fn value(text: &str) -> Result<f64, &'static str> {
        Bound::parse(text).unwrap().of(&condition(Rate::PerSecond(500.0)))
    }

    #[test]
    fn arithmetic() {
        for (text, expected) in [
            ("4", 4.0),
            ("0.02", 0.02),
            (".5", 0.5),
            ("1 + 2*3", 7.0),
            ("(1+2)*3", 9.0),
            ("10-4-3", 3.0),
            ("24/4/2", 3.0),
            ("-2*-3", 6.0),
            ("2--1", 3.0),
            ("-(1+1)", -2.0),
            ("((((7))))", 7.0),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
            assert_eq!(Bound::parse(text).unwrap().constant(), Some(expected), "{text}");
        }
    }

    #[test]
    fn names_are_the_conditions_own() {
        for (text, expected) in [
            ("receivers", 4.0),
            ("bystanders", 16.0),
            ("hosts", 21.0),
            ("rate", 500.0),
            ("size", 64.0),
            ("ttl", 3.0),
            ("2*receivers", 8.0),
            ("(hosts - 1) / receivers", 5.0),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
            assert_eq!(Bound::parse(text).unwrap().constant(), None, "{text}");
        }
    }

    #[test]
    fn where_it_has_no_value_it_says_why() {
        let at_max = Bound::parse("rate/2").unwrap().of(&condition(Rate::Max));
        assert!(at_max.unwrap_err().contains("max"));
        assert!(value("1/(receivers-4)").unwrap_err().contains("divides by 0"));
        let huge = format!("{}/{}1", "9".repeat(90), format_args!(".{}", "0".repeat(90)));
        assert!(value(&huge).is_ok_and(|value| value > 1e180));
        assert!(Bound::parse("1/0").unwrap().constant().is_none());
    }

    #[test]
    fn it_prints_as_it_is_read_out() {
        for (text, words) in
            [("2*receivers", "2 × receivers"), (" ( hosts-1 )/4", "(hosts − 1) / 4"), ("-0.50+ -rate", "−0.50 + −rate")]
        {
            assert_eq!(Bound::parse(text).unwrap().to_string(), words);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, begins) in [
            ("", "character 1: it ends where a number, ( or a name (receivers, "),
            ("   ", "character 4: it ends where a number"),
            ("2*", "character 3: it ends where a number"),
            ("2**3", "character 3, '*': a number"),
            ("2 3", "character 3, '3': +, -, *, / or the end should"),
            ("2k", "character 2, 'k': +, -"),
            ("1.2.3", "character 1, '1.2.3': a number"),
            (".", "character 1, '.': a number"),
            ("sender", "character 1, 'sender': a number, ( or a name"),
            ("(1+2", "character 5: it ends where +, -, *, / or ) should stand"),
            ("1)", "character 2, ')': +, -, *, / or the end should"),
            ("1 ± 2", "character 3, '±': a bound has"),
            ("nan", "character 1, 'nan'"),
            ("inf", "character 1, 'inf'"),
            ("1e3", "character 2, 'e'"),
        ] {
            let error = Bound::parse(text).unwrap_err();
            assert!(error.starts_with(begins), "{text}: {error}");
        }
        assert!(Bound::parse(&"(".repeat(100_000)).unwrap_err().contains("200 characters"));
        assert!(Bound::parse(&"-".repeat(200)).is_err(), "as deep as can be");
        assert!(Bound::parse(&format!("{}1", "-".repeat(199))).unwrap().constant() == Some(-1.0));
    }
}
