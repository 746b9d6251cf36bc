//! The words of a statement, before it is parsed: how long it is, and whether databases would agree
//! about where each text, name and comment ends. Whoever gets one of them to end elsewhere has
//! hidden from the check what the database then runs.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::{Count, Dialect, Kind, Query, Refusal, catalog, clauses};

/// The words, as far as they are looked at.
#[derive(Debug)]
pub(super) struct Lexed {
    words: Vec<Token>,
    /// Where in them each statement begins.
    starts: Vec<usize>,
    /// Texts and quoted names, in their order, as they were written.
    literals: Vec<String>,
    /// A comment of MySQL ends it, which to others is an operator and what follows.
    is_cut: bool,
}

/// Splits a statement by the rules of `dialect`, and refuses what `meant` could read otherwise.
pub(super) fn lex(
    meant: Dialect,
    dialect: &dyn sqlparser::dialect::Dialect,
    sql: &str,
    count: Count,
) -> Result<Lexed, Refusal> {
    if sql.len() > BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    // PostgreSQL ends a comment at a carriage return, SQLite does not.
    let without_breaks = sql.replace("\r\n", "\n");
    if without_breaks.chars().any(|it| it.is_control() && !"\n\t".contains(it)) {
        return Err(Refusal::Control);
    }
    if EXECUTED.iter().any(|it| sql.contains(it)) && !has_plain_hints(meant, sql) {
        return Err(Refusal::Ambiguous("a comment that some of them execute"));
    }
    let tokens = Tokenizer::new(dialect, sql).with_unescape(false).tokenize();
    let tokens = tokens.map_err(|_| Refusal::Unparsable)?;
    let mut lexed =
        Lexed { words: Vec::new(), starts: Vec::new(), literals: Vec::new(), is_cut: false };
    let mut odd_in_texts = 0;
    let (mut links, mut has_ended, mut before) = (0, false, None);
    let mut has_begun = None;
    // Asked for as often as there is a backslash, and the same each time.
    let one_meaning = OnceCell::new();
    let has_one_meaning = || *one_meaning.get_or_init(|| has_one_meaning(meant, sql));
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        comment(meant, &token, sql, tokens.peek().is_none())?;
        if let Some(texts) = array(&token) {
            lexed.literals.extend(texts);
        } else if let Some(literal) = literal(meant, &token, &has_one_meaning)? {
            odd_in_texts += literal.chars().filter(|it| is_odd(*it)).count();
            lexed.literals.push(literal.to_owned());
        }
        word(meant, &token, before.as_ref())?;
        if let Token::Whitespace(space) = &token {
            if let Whitespace::SingleLineComment { comment, .. }
            | Whitespace::MultiLineComment(comment) = space
            {
                lexed.is_cut |= is_operator(&token);
                odd_in_texts += comment.chars().filter(|it| is_odd(*it)).count();
            }
        } else {
            if has_ended && token != Token::SemiColon {
                if count == Count::One {
                    return Err(Refusal::Stacked);
                }
                (has_ended, links) = (false, 0);
            }
            has_ended |= token == Token::SemiColon;
            links += usize::from(is_link(&token));
            if links > LINKS_MAX {
                return Err(Refusal::TooLong);
            }
            if token != Token::SemiColon {
                if has_begun != Some(true) {
                    lexed.starts.push(lexed.words.len());
                }
                if lexed.words.len() == WORDS_MAX {
                    return Err(Refusal::TooLong);
                }
                lexed.words.push(token.clone());
            }
            has_begun = Some(token != Token::SemiColon);
        }
        before = Some(token);
    }
    if let Some(odd) = sql.chars().find(|it| is_odd(*it))
        && sql.chars().filter(|it| is_odd(*it)).count() > odd_in_texts
    {
        return Err(Refusal::Lookalike(odd));
    }
    if lexed.words.is_empty() {
        return Err(Refusal::Empty);
    }
    Ok(lexed)
}

/// Whether all that MySQL executes in comments are hints about a plan.
fn has_plain_hints(meant: Dialect, sql: &str) -> bool {
    let is_plain = |it: &str| {
        let end = it.find("*/");
        end.and_then(|end| it.get(..end)).is_some_and(clauses::is_plain_hint)
    };
    let others = EXECUTED.iter().filter(|it| **it != HINT);
    meant == Dialect::MySql
        && !others.into_iter().any(|it| sql.contains(it))
        && sql.split(HINT).skip(1).all(is_plain)
}

/// Whether MySQL, told to take a backslash for a letter, would find no end of the texts: then
/// `'it\'s'` has one meaning. With a comment or another quote, it could find one there.
fn has_one_meaning(meant: Dialect, sql: &str) -> bool {
    let plain = sqlparser::dialect::GenericDialect {};
    meant == Dialect::MySql
        && !["#", "--", "/*", "`", "\""].iter().any(|it| sql.contains(it))
        && Tokenizer::new(&plain, sql).with_unescape(false).tokenize().is_err()
}

/// Whether all names in backticks are made of letters. To whom a backtick is no quote, there is then
/// nothing in them that ends a statement, or begins a text or a comment.
pub(super) fn has_plain_backticks(sql: &str) -> bool {
    let mysql = sqlparser::dialect::MySqlDialect {};
    let tokens = Tokenizer::new(&mysql, sql).with_unescape(false).tokenize();
    let is_plain = |it: &Token| {
        let Token::Word(word) = it else { return true };
        word.quote_style != Some('`') || is_plain_text(&word.value)
    };
    tokens.is_ok_and(|it| it.iter().all(is_plain))
}

/// Whether a text is one wherever it ends: nothing in it means anything to a database.
fn is_plain_text(text: &str) -> bool {
    text.chars().all(|it| it.is_alphanumeric() || "_.-*:,?! ".contains(it)) && !text.contains("--")
}

/// `#>` and `#-` at the end of a text: operators of PostgreSQL for JSON. MySQL reads none of what is
/// behind it on the line, and there is no other line.
fn is_operator(token: &Token) -> bool {
    let Token::Whitespace(Whitespace::SingleLineComment { prefix, comment }) = token else {
        return false;
    };
    prefix == "#" && comment.starts_with(['>', '-']) && !comment.contains('\n')
}

/// Comments that are code, or no comment, elsewhere.
fn comment(meant: Dialect, token: &Token, sql: &str, is_last: bool) -> Result<(), Refusal> {
    let Token::Whitespace(space) = token else { return Ok(()) };
    match space {
        Whitespace::SingleLineComment { prefix, .. } if prefix != "--" => {
            let knows = matches!(meant, Dialect::MySql | Dialect::BigQuery | Dialect::ClickHouse);
            if knows || meant == Dialect::Unknown && is_operator(token) {
                Ok(())
            } else {
                Err(Refusal::Ambiguous("`#`"))
            }
        }
        // To MySQL, `1--1` is a subtraction.
        Whitespace::SingleLineComment { comment, .. }
            if matches!(meant, Dialect::MySql | Dialect::Unknown)
                && !comment.is_empty()
                && !comment.starts_with([' ', '\t', '\n', '\r']) =>
        {
            Err(Refusal::Ambiguous("`--` without a space"))
        }
        // PostgreSQL and DuckDB nest comments, the others do not.
        Whitespace::MultiLineComment(text) if text.contains("/*") => {
            Err(Refusal::Ambiguous("a comment in a comment"))
        }
        // SQLite takes the end of the statement for the end of a comment.
        Whitespace::MultiLineComment(text) if is_last && !sql.ends_with(&format!("/*{text}*/")) => {
            Err(Refusal::Ambiguous("a comment without an end"))
        }
        Whitespace::SingleLineComment { .. }
        | Whitespace::MultiLineComment(_)
        | Whitespace::Space
        | Whitespace::Newline
        | Whitespace::Tab => Ok(()),
    }
}

/// Of `['a', 'b']`, the texts. To SQLite it is a name, which ends where the array does.
fn array(token: &Token) -> Option<impl Iterator<Item = String>> {
    let Token::Word(word) = token else { return None };
    let parts: Vec<&str> = word.value.split('\'').collect();
    let is_array = word.quote_style == Some('[')
        && parts.len() > 1
        && parts.len() % 2 == 1
        && parts.iter().all(|it| is_plain_text(it));
    let texts = parts.into_iter().skip(1).step_by(2).map(str::to_owned);
    is_array.then(|| texts.collect::<Vec<_>>().into_iter())
}

/// The text between quotes, if that is what this is, and all databases let it end there.
fn literal<'a>(
    meant: Dialect,
    token: &'a Token,
    has_one_meaning: &dyn Fn() -> bool,
) -> Result<Option<&'a str>, Refusal> {
    const BACKSLASH: Refusal = Refusal::Ambiguous("a backslash before a quote");
    if let Token::SingleQuotedString(text)
    | Token::NationalStringLiteral(text)
    | Token::HexStringLiteral(text)
    | Token::SingleQuotedByteStringLiteral(text) = token
    {
        // MySQL escapes with backslashes, unless it is told not to; PostgreSQL does if it is told. To
        // these a backslash is a letter: `LIKE '10\%' ESCAPE '\'`.
        let is_letter = matches!(meant, Dialect::Sqlite | Dialect::DuckDb | Dialect::MsSql);
        let escapes = !is_letter && (text.contains("\\'") || text.ends_with('\\'));
        return if escapes && !has_one_meaning() { Err(BACKSLASH) } else { Ok(Some(text)) };
    }
    if let Token::EscapedStringLiteral(text) = token {
        let is_plain = meant == Dialect::Postgres && !text.contains(['\'', '\\']);
        return if is_plain { Ok(Some(text)) } else { Err(Refusal::Ambiguous("`E'…'`")) };
    }
    if let Token::DollarQuotedString(text) = token {
        if meant == Dialect::Unknown && is_plain_text(&text.value) {
            return Ok(None);
        }
        let knows = matches!(meant, Dialect::Postgres | Dialect::DuckDb | Dialect::Snowflake);
        return if knows { Ok(Some(&text.value)) } else { Err(Refusal::Ambiguous("`$$`")) };
    }
    let quoted = if let Token::DoubleQuotedString(text) = token {
        Some(text)
    } else if let Token::Word(word) = token
        && let Some(quote) = word.quote_style
    {
        // `ARRAY[1, 2]` is an array or a name: it ends at the same place.
        let is_plain = |it: char| it.is_alphanumeric() || "_., ".contains(it);
        (quote != '[' || !word.value.chars().all(is_plain)).then_some(&word.value)
    } else {
        None
    };
    match quoted {
        Some(text) if text.contains('\\') => Err(Refusal::Ambiguous("a backslash in quotes")),
        Some(text) => Ok(Some(text)),
        None => Ok(None),
    }
}

/// What is outside of texts and comments.
fn word(meant: Dialect, token: &Token, before: Option<&Token>) -> Result<(), Refusal> {
    if let Token::Word(word) = token
        && word.quote_style.is_none()
        && let Some(odd) =
            word.value.chars().find(|it| !(it.is_alphanumeric() || "_$@".contains(*it)))
    {
        return Err(Refusal::Lookalike(odd));
    }
    if let Token::Char(odd) = token {
        return Err(Refusal::Lookalike(*odd));
    }
    if matches!(token, Token::Sharp) && matches!(meant, Dialect::MySql | Dialect::Unknown) {
        return Err(Refusal::Ambiguous("`#`"));
    }
    if *token == Token::Minus
        && before == Some(&Token::Minus)
        && matches!(meant, Dialect::MySql | Dialect::Unknown)
    {
        return Err(Refusal::Ambiguous("`--` without a space"));
    }
    // In a raw text of BigQuery a backslash is a letter, but before a quote.
    if let Token::SingleQuotedRawStringLiteral(text) = token
        && (meant != Dialect::BigQuery || text.contains('\'') || text.ends_with('\\'))
    {
        return Err(Refusal::Ambiguous("a text of another dialect"));
    }
    // Texts of dialects that are none of ours.
    if matches!(
        token,
        Token::UnicodeStringLiteral(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::QuoteDelimitedStringLiteral(_)
            | Token::NationalQuoteDelimitedStringLiteral(_)
            | Token::Backslash
    ) {
        return Err(Refusal::Ambiguous("a text of another dialect"));
    }
    Ok(())
}

/// Whether some database takes this for a space or a quote, and others for a letter.
fn is_odd(it: char) -> bool {
    const QUOTES: [char; 10] = [
        '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}', '\u{201c}', '\u{201d}', '\u{2032}',
        '\u{ff07}', '\u{ff02}', '\u{ff1b}',
    ];
    const INVISIBLE: [char; 6] =
        ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{00ad}'];
    !it.is_ascii() && it.is_whitespace() || QUOTES.contains(&it) || INVISIBLE.contains(&it)
}

/// Whether a word can make the tree of a statement one level deeper without a bracket.
fn is_link(token: &Token) -> bool {
    if let Token::Word(word) = token {
        return word.keyword != sqlparser::keywords::Keyword::NoKeyword;
    }
    !matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::Period
            | Token::SemiColon
    )
}

/// A pragma, read from its words: the parser knows none whose argument is a bare name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pragma {
    name: String,
    reads: BTreeSet<String>,
    /// Whether it is known to change nothing.
    is_harmless: bool,
}

impl Lexed {
    /// Each statement without comments. It is not the parser that writes it: its tree may be too
    /// deep for that.
    pub(super) fn statements(&self) -> impl Iterator<Item = String> {
        let ends = self.starts.iter().skip(1).copied().chain([self.words.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| {
            let words = self.words.get(*start..end).unwrap_or_default();
            words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        })
    }

    /// Whether two dialects see the same texts and quoted names.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let pairs = self.literals.iter().zip(&other.literals);
        let is_whole =
            |it: &Self, longer: &Self| it.is_cut && it.literals.len() <= longer.literals.len();
        let is_as_long = self.literals.len() == other.literals.len()
            || is_whole(self, other)
            || is_whole(other, self);
        is_as_long && pairs.into_iter().all(|(a, b)| a == b)
    }

    /// Options by which a table is kept in another place than its database: in a file of somebody's
    /// choice, or on another server.
    pub(super) fn elsewhere(&self) -> Option<Refusal> {
        let word = |token: Option<&Token>| match token {
            Some(Token::Word(word)) => word.value.to_ascii_lowercase(),
            Some(Token::SingleQuotedString(text)) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        // Options of a table are outside of its brackets, and before its query.
        let (mut depth, mut is_query) = (0_usize, false);
        self.words.iter().enumerate().find_map(|(at, it)| {
            if self.starts.binary_search(&at).is_ok() {
                (depth, is_query) = (0, false);
            }
            if matches!(it, Token::LParen) {
                depth += 1;
            } else if matches!(it, Token::RParen) {
                depth = depth.saturating_sub(1);
            }
            let Token::Word(name) = it else { return None };
            let after = |count: usize| self.words.get(at + count);
            let name = name.value.to_ascii_lowercase();
            is_query |= matches!(name.as_str(), "select" | "where" | "update");
            if name == "engine" {
                let is_equals = after(1) == Some(&Token::Eq);
                let engine = word(after(if is_equals { 2 } else { 1 }));
                let is_option = is_equals && depth == 0 && !is_query;
                let is_elsewhere = is_option && !catalog::keeps(&engine);
                return (is_elsewhere || catalog::is_elsewhere(&engine))
                    .then_some(Refusal::Elsewhere(engine));
            }
            let is_place =
                matches!(name.as_str(), "data" | "index") && word(after(1)) == "directory";
            is_place.then(|| Refusal::Elsewhere(format!("{name} directory")))
        })
    }

    /// Words that begin a statement of SQL Server, and stand where it may begin one: not behind `AS`,
    /// a comma and the like, where they can only be names.
    pub(super) fn openings(&self) -> BTreeSet<String> {
        let bare = |token: &Token| {
            let Token::Word(word) = token else { return None };
            word.quote_style.is_none().then(|| word.value.to_ascii_lowercase())
        };
        // Behind these there is no alias: a name is to come.
        let is_open = |before: &Token| {
            matches!(
                before,
                Token::Period
                    | Token::Comma
                    | Token::LParen
                    | Token::Eq
                    | Token::Neq
                    | Token::Lt
                    | Token::Gt
                    | Token::LtEq
                    | Token::GtEq
                    | Token::Plus
                    | Token::Minus
                    | Token::Div
            ) || bare(before).is_some_and(|it| OPEN.contains(&it.as_str()))
        };
        let pairs = self.words.iter().zip(self.words.iter().skip(1));
        let words = pairs.filter(|(before, _)| !is_open(before)).filter_map(|(_, it)| bare(it));
        words.filter(|it| catalog::begins(it)).collect()
    }

    /// The pragma that this is; nothing, if it is none; an error, if it is none that is known.
    pub(super) fn pragma(&self) -> Option<Result<Pragma, Refusal>> {
        let name = |token: &Token| {
            if let Token::Word(word) = token { Some(word.value.to_ascii_lowercase()) } else { None }
        };
        let (first, mut rest) = self.words.split_first()?;
        if name(first)? != "pragma" {
            return None;
        }
        if let [schema, Token::Period, after @ ..] = rest
            && name(schema).is_some()
        {
            rest = after;
        }
        let Some((called, rest)) =
            rest.split_first().and_then(|(it, rest)| Some((name(it)?, rest)))
        else {
            return Some(Err(Refusal::Unparsable));
        };
        let (is_harmless, reads) = match rest {
            [] => (NAMED.contains(&called.as_str()) || GIVEN.contains(&called.as_str()), None),
            [Token::LParen, argument, Token::RParen] => {
                (GIVEN.contains(&called.as_str()), argument_name(argument))
            }
            // It has keys checked that are not; the other way round is another matter.
            [Token::Eq, value] => {
                let on = argument_name(value)
                    .is_some_and(|it| matches!(it.as_str(), "on" | "true"))
                    || matches!(value, Token::Number(it, _) if it == "1");
                (on && called == "foreign_keys", None)
            }
            _ => (false, None),
        };
        Some(Ok(Pragma { name: called, reads: reads.into_iter().collect(), is_harmless }))
    }
}

fn argument_name(token: &Token) -> Option<String> {
    if let Token::Word(word) = token {
        return Some(word.value.to_ascii_lowercase());
    }
    if let Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) = token {
        return Some(text.to_ascii_lowercase());
    }
    None
}

impl Pragma {
    pub(super) fn query(self) -> Query {
        let writes = if self.is_harmless { BTreeSet::new() } else { self.reads.clone() };
        Query {
            text: String::new(),
            kind: Kind::Pragma,
            reads: self.reads,
            writes,
            functions: BTreeSet::new(),
            obstacles: (!self.is_harmless)
                .then_some(Refusal::Pragma(self.name))
                .into_iter()
                .collect(),
            loss: None,
            plain: String::new(),
        }
    }
}

/// Pragmas of SQLite that only say something when they are given nothing. With a value, most of
/// them set it.
const NAMED: [&str; 17] = [
    "application_id",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "journal_mode",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "schema_version",
    "user_version",
    "version",
];

/// Pragmas whose argument is what they are about.
const GIVEN: [&str; 10] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Words behind which a name is to come.
const OPEN: [&str; 14] = [
    "all", "and", "as", "by", "case", "distinct", "else", "from", "not", "on", "or", "select",
    "then", "where",
];

/// MySQL and MariaDB run what is in such a comment, or let it set variables.
const EXECUTED: [&str; 3] = ["/*!", "/*M!", HINT];
const HINT: &str = "/*+";

/// What a person or a model would write is far below these. The parser's tree is as deep as the
/// statement has links, and is walked on the stack of whoever asks.
pub(super) const BYTES_MAX: usize = 64 * 1024;
const WORDS_MAX: usize = 8192;
const LINKS_MAX: usize = 512;
