//! From an upload glob's text to the steps of its automaton. Matches nothing itself.

use std::iter::Peekable;
use std::str::Chars;

/// One step of an automaton; the next one follows it unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This character.
    One(char),
    /// Any character but `/`.
    Any,
    /// A character in (or, negated, outside of) these ranges, and no `/`.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// Any number of characters but `/`.
    Star,
    /// Any number of characters.
    Deep,
    /// Goes on at each of these, without a character.
    Either(Vec<u32>),
    /// Goes on there, without a character.
    Jump(u32),
    /// The path ends.
    End,
}

impl Step {
    pub(super) fn takes(&self, symbol: u32) -> bool {
        let is = |c: char| symbol == u32::from(c);
        match self {
            Self::One(c) => is(*c),
            Self::Any | Self::Star => !is('/'),
            Self::Deep => true,
            Self::Class { negated, ranges } => {
                let within =
                    |&(first, last): &(char, char)| (u32::from(first)..=u32::from(last)).contains(&symbol);
                !is('/') && ranges.iter().any(within) != *negated
            }
            Self::Either(_) | Self::Jump(_) | Self::End => false,
        }
    }

    /// Whether it stays where it is after a character, and may be passed without one.
    pub(super) const fn is_loop(&self) -> bool {
        matches!(self, Self::Star | Self::Deep)
    }

    /// The character, if it is one that stands for itself.
    pub(super) const fn plain(&self) -> Option<char> {
        match self {
            Self::One(c) => Some(*c),
            _ => None,
        }
    }
}

/// The steps of `text`, or why it is no glob.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, &'static str> {
    let mut parser =
        Parser { chars: text.chars().peekable(), steps: Vec::new(), braces: Vec::new(), at_start: true };
    if parser.chars.next_if_eq(&'/').is_some() {
        parser.steps.push(Step::One('/'));
    }
    while let Some(c) = parser.chars.next() {
        parser.take(c)?;
    }
    if !parser.braces.is_empty() {
        return Err("its `{` has no `}`; a `{` that stands for itself is `\\{`");
    }
    parser.steps.push(Step::End);
    Ok(parser.steps)
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    steps: Vec<Step>,
    braces: Vec<Brace>,
    /// Whether a component begins here.
    at_start: bool,
}

/// An open `{`.
struct Brace {
    /// Its [`Step::Either`].
    either: usize,
    /// Where each alternative begins.
    begins: Vec<u32>,
    /// The jumps behind those that ended, whose end is not known yet.
    ends: Vec<usize>,
    /// Whether a component begins at the brace.
    at_start: bool,
    /// Whether one begins behind each alternative that ended.
    after: bool,
}

impl Parser<'_> {
    fn take(&mut self, c: char) -> Result<(), &'static str> {
        match c {
            '/' if self.at_start => {}
            // A slash at the very end says nothing.
            '/' if self.chars.peek().is_none() => {}
            '/' => {
                self.steps.push(Step::One('/'));
                self.at_start = true;
            }
            '.' if self.at_start && self.chars.peek() == Some(&'/') => {}
            '*' => self.stars(),
            '?' => self.push(Step::Any),
            '[' => {
                let class = self.class()?;
                self.push(class);
            }
            '{' => self.open_brace(),
            ',' if !self.braces.is_empty() => self.next_alternative(),
            '}' if !self.braces.is_empty() => self.close_brace(),
            '\\' => {
                let c =
                    self.chars.next().ok_or("it ends in a `\\`, which takes the next character as it is")?;
                self.push(Step::One(c));
            }
            c => self.push(Step::One(c)),
        }
        Ok(())
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
        self.at_start = false;
    }

    fn stars(&mut self) {
        let mut deep = false;
        while self.chars.next_if_eq(&'*').is_some() {
            deep = true;
        }
        if deep && self.at_start && self.chars.next_if_eq(&'/').is_some() {
            // Any number of folders: nothing, or anything that ends in a slash.
            let here = self.steps.len() as u32;
            self.steps.extend([Step::Either(vec![here + 1, here + 3]), Step::Deep, Step::One('/')]);
        } else {
            self.push(if deep { Step::Deep } else { Step::Star });
        }
    }

    fn class(&mut self) -> Result<Step, &'static str> {
        let negated = self.chars.next_if_eq(&'^').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            match self.chars.next() {
                None => return Err("its `[` has no `]`; a `[` that stands for itself is `\\[`"),
                Some(']') if ranges.is_empty() => return Err("its `[]` holds no character"),
                Some(']') => return Ok(Step::Class { negated, ranges }),
                Some(c) => {
                    let first = self.class_char(c)?;
                    ranges.push((first, self.range_end(first)?));
                }
            }
        }
    }

    /// The last character of a range that begins with `first`; itself, if it is no range.
    fn range_end(&mut self, first: char) -> Result<char, &'static str> {
        let mut ahead = self.chars.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), None | Some(']')) {
            return Ok(first);
        }
        self.chars = ahead;
        let c = self.chars.next().unwrap_or(first);
        let last = self.class_char(c)?;
        if last < first { Err("a range in its `[…]` ends before it begins") } else { Ok(last) }
    }

    fn class_char(&mut self, c: char) -> Result<char, &'static str> {
        match c {
            '\\' => self.chars.next().ok_or("its `[` has no `]`"),
            c => Ok(c),
        }
    }

    fn open_brace(&mut self) {
        let either = self.steps.len();
        self.steps.push(Step::Either(Vec::new()));
        let begins = vec![self.steps.len() as u32];
        self.braces.push(Brace { either, begins, ends: Vec::new(), at_start: self.at_start, after: true });
    }

    fn next_alternative(&mut self) {
        self.end_alternative();
        let begin = self.steps.len() as u32;
        if let Some(brace) = self.braces.last_mut() {
            brace.begins.push(begin);
            self.at_start = brace.at_start;
        }
    }

    fn end_alternative(&mut self) {
        let jump = self.steps.len();
        self.steps.push(Step::Jump(0));
        if let Some(brace) = self.braces.last_mut() {
            brace.ends.push(jump);
            brace.after &= self.at_start;
        }
    }

    fn close_brace(&mut self) {
        self.end_alternative();
        let Some(brace) = self.braces.pop() else { return };
        let behind = self.steps.len() as u32;
        for end in brace.ends {
            self.steps[end] = Step::Jump(behind);
        }
        self.steps[brace.either] = Step::Either(brace.begins);
        self.at_start = brace.after;
    }
}
