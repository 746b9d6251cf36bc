//! Whether what stands outside of a value's quotes reads as SQL, in no dialect in particular: what is
//! and what is not an operand takes turns with operators, up to a comment, or to the quote that a
//! server puts at the end. No grammar of one database is needed for that, and what only some of them
//! know (`0 isnull is 0`, `!0`) counts as well. In prose two words stand side by side, and in no
//! expression do two names.

use sqlparser::tokenizer::{Token, Whitespace};

use super::literal::Breakout;

/// A word or a sign, in small letters.
struct Item {
    what: What,
    says: String,
    /// Nothing is between it and the one before.
    is_glued: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Word,
    /// A name in quotes, a number, or what stands for a value.
    Operand,
    Text,
    Sign,
}

/// What the words of a value are, behind its first text.
pub(super) fn of_text(tokens: &[Token]) -> Option<Breakout> {
    // MySQL and MariaDB run what is in such a comment.
    let is_run = |it: &Token| {
        matches!(it, Token::Whitespace(Whitespace::MultiLineComment(it))
            if it.starts_with('!') || it.starts_with("M!"))
    };
    if tokens.iter().any(is_run) {
        return Some(Breakout::Condition);
    }
    let found = Read::of(tokens)?;
    let items = found.items.get(1..)?;
    let first = items.iter().position(|it| it.what != What::Text && it.says != ")")?;
    let items = items.get(first..)?;
    // Behind a comment nothing is left of the server's; else its last quote has to end a text.
    let is_ended = found.is_cut || items.last().is_some_and(|it| it.what == What::Text);
    if !is_ended {
        return None;
    }
    let turns = Turns::of(items)?;
    // `rock'-n-'roll` is arithmetic only to a parser.
    turns.is_more.then_some(turns.how)
}

/// What an expression in the place of a number is besides one. `has_number` says that it begins with a
/// number: what begins with a name may be what people call things.
pub(super) fn of_number(tokens: &[Token], has_number: bool) -> Option<Breakout> {
    let found = Read::of(tokens)?;
    let is_before = |it: &Item| it.what == What::Sign && "(-+~".contains(it.says.as_str());
    let first = found.items.iter().position(|it| !is_before(it))?;
    let items = found.items.get(first..)?;
    // `!0`, `!sleep(5)`: to MySQL, `NOT`.
    if let [bang, operand, rest @ ..] = items
        && bang.says == "!"
    {
        let is_call = rest.first().is_some_and(|it| it.says == "(" && it.is_glued);
        return (operand.what == What::Operand || is_call).then_some(Breakout::Condition);
    }
    let turns = Turns::of(items.get(1..)?)?;
    let is_one = match has_number {
        true => turns.has_word || turns.has_bang,
        false => turns.is_odd || turns.has_bang,
    };
    (is_one || turns.how == Breakout::Union).then_some(turns.how)
}

struct Read {
    items: Vec<Item>,
    /// A comment takes the rest away.
    is_cut: bool,
}

impl Read {
    fn of(tokens: &[Token]) -> Option<Self> {
        let mut items = Vec::new();
        let mut is_glued = false;
        let last = tokens.len().checked_sub(1)?;
        let mut is_cut = false;
        for (at, token) in tokens.iter().enumerate() {
            if let Token::Whitespace(space) = token {
                let is_line = matches!(space, Whitespace::SingleLineComment { .. });
                let is_block = matches!(space, Whitespace::MultiLineComment(_));
                // A block that is the last has no end, since a quote would follow.
                is_cut = at == last && (is_line || is_block);
                is_glued = false;
                continue;
            }
            let what = what(token);
            let says = if let Token::Word(word) = token
                && what == What::Word
            {
                word.value.to_ascii_lowercase()
            } else {
                token.to_string().to_ascii_lowercase()
            };
            items.push(Item { what, says, is_glued });
            is_glued = true;
        }
        Some(Self { items, is_cut })
    }
}

fn what(token: &Token) -> What {
    if let Token::Word(word) = token {
        return if word.quote_style.is_none() { What::Word } else { What::Operand };
    }
    if matches!(token, Token::Number(..) | Token::Placeholder(_)) {
        return What::Operand;
    }
    let is_text = matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::DollarQuotedString(_)
    );
    if is_text { What::Text } else { What::Sign }
}

/// Operands and operators that take turns, behind an operand.
struct Turns {
    how: Breakout,
    /// It is more than words with hyphens between them.
    is_more: bool,
    /// An operator is a word.
    has_word: bool,
    /// There is a word that is none of English.
    is_odd: bool,
    has_bang: bool,
}

impl Turns {
    /// Nothing, where they do not, or where there is nothing but the operand.
    fn of(items: &[Item]) -> Option<Self> {
        let first = items.first()?;
        let how = match first.says.as_str() {
            _ if queries(items) => Breakout::Union,
            it if first.what == What::Word
                && (CLAUSES.contains(&it) || ["order", "group"].contains(&it)) =>
            {
                Breakout::Clause
            }
            _ => Breakout::Condition,
        };
        let mut it = Self { how, is_more: false, has_word: false, is_odd: false, has_bang: false };
        if how == Breakout::Union {
            it.is_more = true;
            return Some(it);
        }
        it.read(items).then_some(it)
    }

    fn read(&mut self, items: &[Item]) -> bool {
        let mut depth = 0_isize;
        // Whether an operand is behind, and whether anything is.
        let (mut is_done, mut is_any) = (true, false);
        let mut before: Option<&Item> = None;
        let mut rest = items;
        while let Some((item, after)) = rest.split_first() {
            rest = after;
            let next = rest.first().map_or("", |it| it.says.as_str());
            let says = item.says.as_str();
            let is_word = item.what == What::Word;
            if is_done {
                if item.what == What::Text {
                    // Texts in a row are one, and `date '…'` is one.
                    if !before.is_none_or(|it| it.what == What::Text || introduces(it)) {
                        return false;
                    }
                } else if is_word && POSTFIX.contains(&says) {
                    (self.has_word, self.is_odd, self.is_more) = (true, true, true);
                } else if is_word && says == "not" && (NEGATED.contains(&next) || next == "null") {
                    if next == "null" {
                        rest = rest.get(1..).unwrap_or_default();
                        self.is_more = true;
                    }
                    self.has_word = true;
                } else if is_word && let Some((_, second)) = PAIRS.iter().find(|it| it.0 == says) {
                    // `order by`; alone it is a word.
                    if next != *second {
                        return false;
                    }
                    rest = rest.get(1..).unwrap_or_default();
                    (is_done, self.has_word, self.is_more) = (false, true, true);
                } else if is_word
                    && says == "in"
                    && next != "("
                    && before.is_none_or(|it| it.says != "not")
                {
                    return false;
                } else if is_word && (LINKS.contains(&says) || CLAUSES.contains(&says)) {
                    (is_done, self.has_word, self.is_more) = (false, true, true);
                } else if says == "("
                    && item.is_glued
                    && before.is_some_and(|it| it.what != What::Sign)
                {
                    // What is in the brackets of a function is an operand whatever it is.
                    let Some(end) = closes(rest) else { return false };
                    rest = rest.get(end..).unwrap_or_default();
                    self.is_more = true;
                } else if says == "[" && item.is_glued {
                    let Some(end) = rest.iter().position(|it| it.says == "]") else { return false };
                    rest = rest.get(end + 1..).unwrap_or_default();
                } else if is_word && says == "as" && self.how == Breakout::Clause {
                    is_done = false;
                } else if says == "(" && before.is_some_and(|it| it.what == What::Word) {
                    depth += 1;
                    (is_done, self.is_more) = (next == ")", true);
                } else if says == ")" {
                    depth -= 1;
                } else if says == ";" {
                    return rest.is_empty() && is_any;
                } else if says == "," {
                    if depth == 0 && self.how != Breakout::Clause {
                        return false;
                    }
                    is_done = false;
                } else if item.what == What::Sign && (says == "." || says == "-") {
                    is_done = false;
                } else if item.what == What::Sign && !"(){}[".contains(says) && says != "!" {
                    (is_done, self.is_more) = (false, true);
                } else if !(item.is_glued && before.is_some_and(|it| it.what == What::Operand)) {
                    // `0b1` is one number to some; else it is prose.
                    return false;
                }
            } else if says == "(" {
                if queries(rest) {
                    self.is_more = true;
                    return true;
                }
                depth += 1;
            } else if is_word && PREFIX.contains(&says)
                || item.what == What::Sign && "+-~!@:".contains(says)
            {
                self.has_bang |= says == "!";
                self.is_more |= says == "!";
            } else if is_word && says == "from" && before.is_some_and(|it| it.says == "distinct") {
                // `IS DISTINCT FROM`
            } else if is_word && says == "case" {
                let end = rest.iter().position(|it| it.what == What::Word && it.says == "end");
                let Some(end) = end else { return false };
                rest = rest.get(end + 1..).unwrap_or_default();
                (is_done, is_any, self.is_more) = (true, true, true);
            } else if says == "{" {
                let Some(end) = rest.iter().position(|it| it.says == "}") else { return false };
                rest = rest.get(end + 1..).unwrap_or_default();
                (is_done, is_any) = (true, true);
            } else if item.what == What::Sign && says != "*" && !says.starts_with('@')
                || is_word && (LINKS.contains(&says) || CLAUSES.contains(&says))
            {
                return false;
            } else {
                (is_done, is_any) = (true, true);
            }
            before = Some(item);
        }
        let is_behind = is_any || self.is_odd || self.is_more && is_done && self.has_word;
        is_done && is_behind && depth <= 0
    }
}

/// Whether a query is next.
fn queries(items: &[Item]) -> bool {
    const SETS: [&str; 3] = ["union", "intersect", "except"];
    let is_set = |it: &&Item| SETS.contains(&it.says.as_str());
    let is_skipped = |it: &Item| ["all", "distinct", "("].contains(&it.says.as_str());
    let is_open = items.first().filter(is_set).is_some();
    let mut rest = items.get(usize::from(is_open)..).unwrap_or_default();
    while let Some((_, after)) = rest.split_first().filter(|(it, _)| is_skipped(it)) {
        rest = after;
    }
    let [first, rest @ ..] = rest else { return false };
    // `(the table)`, but `union table users`.
    first.what == What::Word
        && match first.says.as_str() {
            "select" => !rest.is_empty(),
            "values" => rest.first().is_some_and(|it| it.says == "(" || it.says == "row"),
            "table" | "with" => is_open && !rest.is_empty(),
            _ => false,
        }
}

/// Where the bracket ends, counted to behind it.
fn closes(items: &[Item]) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, item) in items.iter().enumerate() {
        match item.says.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Words that say of what type or in which letters the text behind them is.
fn introduces(it: &Item) -> bool {
    const TYPES: [&str; 7] = ["date", "time", "timestamp", "datetime", "interval", "binary", "n"];
    it.what == What::Word && (it.says.starts_with('_') || TYPES.contains(&it.says.as_str()))
}

/// Words between two operands.
const LINKS: [&str; 18] = [
    "or", "and", "xor", "is", "like", "ilike", "glob", "regexp", "rlike", "match", "between", "in",
    "div", "mod", "collate", "escape", "overlaps", "operator",
];

/// Words behind which another clause begins.
const CLAUSES: [&str; 5] = ["having", "limit", "offset", "returning", "into"];

/// Words behind an operand and before none.
const POSTFIX: [&str; 2] = ["isnull", "notnull"];

/// Two words that go together.
const PAIRS: [(&str, &str); 5] =
    [("order", "by"), ("group", "by"), ("sounds", "like"), ("similar", "to"), ("member", "of")];

/// What may follow a `not` behind an operand.
const NEGATED: [&str; 9] =
    ["in", "like", "ilike", "glob", "regexp", "rlike", "match", "between", "similar"];

/// Words before an operand.
const PREFIX: [&str; 9] =
    ["not", "binary", "distinct", "all", "any", "some", "exists", "symmetric", "asymmetric"];

#[cfg(test)]
mod tests {
    use sqlparser::dialect::{MySqlDialect, SQLiteDialect};
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn text(value: &str) -> Option<Breakout> {
        let value = format!("'{value}'");
        let read = |it: &dyn sqlparser::dialect::Dialect| {
            Tokenizer::new(it, &value).tokenize().ok().and_then(|it| of_text(&it))
        };
        read(&SQLiteDialect {}).or_else(|| read(&MySqlDialect {}))
    }

    #[test]
    fn operands_and_operators_that_take_turns_are_sql() {
        for (value, expected) in [
            ("x' or id --", Breakout::Condition),
            ("x' or `id`/*", Breakout::Condition),
            ("x' or [id]--", Breakout::Condition),
            ("x' or \"id\";--", Breakout::Condition),
            ("x' or c.id -- and so on", Breakout::Condition),
            ("x' or 0 isnull is 0 --", Breakout::Condition),
            ("x' or 0 isnull is 0 or '", Breakout::Condition),
            ("'isnull is not '", Breakout::Condition),
            ("x') or id --", Breakout::Condition),
            ("x' or length(name) isnull is 0 --", Breakout::Condition),
            ("x' or cast(id as integer) notnull --", Breakout::Condition),
            ("x' or case when id then id end notnull --", Breakout::Condition),
            ("x' or id is not distinct from id notnull --", Breakout::Condition),
            ("x' or exists (select name n from c) notnull --", Breakout::Condition),
            ("x'or!0#", Breakout::Condition),
            ("x'or!'", Breakout::Condition),
            ("x' or @@version#", Breakout::Condition),
            ("x' or 0b1#", Breakout::Condition),
            ("x' or date'2020-01-01'#", Breakout::Condition),
            ("x' or {d '2020-01-01'}#", Breakout::Condition),
            ("x' sounds like 'x' or 1 -- ", Breakout::Condition),
            ("x'/*M!or*/1='1", Breakout::Condition),
            ("x' union select name n from c where 0 isnull --", Breakout::Union),
            ("x'union(select!0)#", Breakout::Union),
            ("x' returning * --", Breakout::Clause),
            ("x' returning id, name as n --", Breakout::Clause),
            ("x' order by id isnull, name --", Breakout::Clause),
        ] {
            assert_eq!(text(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn words_side_by_side_are_prose() {
        for value in [
            "the boys' or the girls -- all of them",
            "the boys' and the girls'",
            "boys' or girls'",
            "rock'-n-'roll",
            "d'Or / QC #2",
            "L'Or -- best",
            "it's or that",
            "O'Brien or Smith -- pending",
            "friends' order of service -- 2024",
            "the drivers' in Berlin -- a photo",
            "the boys', and girls -- here",
            "the boys' or 5 cats -- here",
            "the workers' union -- Europe",
            "the players' not -- so",
            "x' or",
        ] {
            assert_eq!(text(value), None, "{value}");
        }
    }
}
