//! A syntax tree in one piece of memory, made of tree-sitter's with one walk.
//!
//! The walk uses a cursor and no recursion, and what is nested deeper than [`DEPTH_MAX`] is left out
//! and said to be: whoever walks the result by recursion has a bound on it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, Parser};

use crate::ir::Trouble;
use crate::language::Language;

/// Deeper than anybody writes, and not so deep that walking it needs much of a stack.
pub(crate) const DEPTH_MAX: u32 = 300;
const PARSE_MAX: Duration = Duration::from_secs(5);
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Tree<'s> {
    text: &'s str,
    nodes: Vec<Raw>,
    pub(crate) trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Raw {
    kind: &'static str,
    field: &'static str,
    named: bool,
    start: u32,
    end: u32,
    row: u32,
    end_row: u32,
    child: u32,
    next: u32,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'t, 's> {
    tree: &'t Tree<'s>,
    id: u32,
}

thread_local! {
    // A parser has buffers that are worth keeping from one file to the next.
    static PARSERS: RefCell<HashMap<Language, Parser>> = RefCell::new(HashMap::new());
}

impl<'s> Tree<'s> {
    /// Reads `text`, or only `part` of it. `None` if the parser gave up, which it does after a while.
    pub(crate) fn read(
        text: &'s str,
        language: Language,
        part: Option<(Range<usize>, u32)>,
    ) -> Option<Self> {
        PARSERS.with(|parsers| {
            let mut parsers = parsers.borrow_mut();
            let parser = parsers.entry(language).or_insert_with(|| {
                let mut it = Parser::new();
                // A grammar that this version cannot read would show in the first test.
                let _ = it.set_language(language.grammar());
                it
            });
            let ranges =
                part.map(|(bytes, line)| range(text, bytes, line)).into_iter().collect::<Vec<_>>();
            parser.set_included_ranges(&ranges).ok()?;
            let end = Instant::now() + PARSE_MAX;
            let mut patience = |_: &tree_sitter::ParseState| match Instant::now() < end {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            };
            let bytes = text.as_bytes();
            let tree = parser.parse_with_options(
                &mut |at, _| bytes.get(at..).unwrap_or_default(),
                None,
                Some(ParseOptions::new().progress_callback(&mut patience)),
            );
            if tree.is_none() {
                parser.reset();
            }
            Some(Self::flatten(text, language, &tree?))
        })
    }

    fn flatten(text: &'s str, language: Language, tree: &tree_sitter::Tree) -> Self {
        let mut nodes: Vec<Raw> = Vec::with_capacity(text.len() / 4);
        let mut trouble = None;
        let language = language.grammar();
        let mut cursor = tree.walk();
        // The node above, and the one before, of each level that is open.
        let mut open: Vec<(u32, u32)> = vec![(NONE, NONE)];
        loop {
            let node = cursor.node();
            let kind = language.node_kind_for_id(node.kind_id()).unwrap_or("ERROR");
            let row = u32::try_from(node.start_position().row).unwrap_or(NONE);
            let wanted = !kind.contains("comment");
            if trouble.is_none() && (node.is_error() || node.is_missing()) {
                trouble = Some(Trouble::Syntax { line: row.saturating_add(1) });
            }
            let mut down = false;
            if wanted {
                let id = u32::try_from(nodes.len()).unwrap_or(NONE);
                let field = cursor.field_id().and_then(|it| language.field_name_for_id(it.get()));
                nodes.push(Raw {
                    kind,
                    field: field.unwrap_or(""),
                    named: node.is_named(),
                    start: u32::try_from(node.start_byte()).unwrap_or(NONE),
                    end: u32::try_from(node.end_byte()).unwrap_or(NONE),
                    row,
                    end_row: u32::try_from(node.end_position().row).unwrap_or(NONE),
                    child: NONE,
                    next: NONE,
                });
                if let Some((above, before)) = open.last_mut() {
                    if let Some(it) = nodes.get_mut(*before as usize) {
                        it.next = id;
                    } else if let Some(it) = nodes.get_mut(*above as usize) {
                        it.child = id;
                    }
                    *before = id;
                }
                if node.child_count() > 0 {
                    if cursor.depth() >= DEPTH_MAX {
                        trouble.get_or_insert(Trouble::Depth { line: row.saturating_add(1) });
                    } else {
                        down = cursor.goto_first_child();
                        if down {
                            open.push((id, NONE));
                        }
                    }
                }
            }
            while !down && !cursor.goto_next_sibling() {
                open.pop();
                if !cursor.goto_parent() {
                    return Self { text, nodes, trouble };
                }
            }
        }
    }

    pub(crate) fn root(&self) -> Node<'_, 's> {
        Node { tree: self, id: 0 }
    }
}

/// A part of a text that begins on `line`. Nobody looks at columns.
fn range(text: &str, part: Range<usize>, line: u32) -> tree_sitter::Range {
    let inside = text.as_bytes().get(part.clone()).unwrap_or_default();
    let row = line.saturating_sub(1) as usize;
    let rows = inside.iter().filter(|it| **it == b'\n').count();
    tree_sitter::Range {
        start_byte: part.start,
        end_byte: part.end,
        start_point: tree_sitter::Point { row, column: 0 },
        end_point: tree_sitter::Point { row: row + rows, column: 0 },
    }
}

impl<'t, 's> Node<'t, 's> {
    fn raw(self) -> Option<&'t Raw> {
        self.tree.nodes.get(self.id as usize)
    }

    pub(crate) fn kind(self) -> &'static str {
        self.raw().map_or("", |it| it.kind)
    }

    pub(crate) fn name(self) -> &'static str {
        self.raw().map_or("", |it| it.field)
    }

    pub(crate) fn is_named(self) -> bool {
        self.raw().is_some_and(|it| it.named)
    }

    pub(crate) fn bytes(self) -> Range<usize> {
        self.raw().map_or(0..0, |it| it.start as usize..it.end as usize)
    }

    pub(crate) fn text(self) -> &'s str {
        self.tree.text.get(self.bytes()).unwrap_or("")
    }

    pub(crate) fn source(self) -> &'s str {
        self.tree.text
    }

    pub(crate) fn lines(self) -> (u32, u32) {
        self.raw().map_or((0, 0), |it| (it.row.saturating_add(1), it.end_row.saturating_add(1)))
    }

    pub(crate) fn all(self) -> Children<'t, 's> {
        Children { tree: self.tree, next: self.raw().map_or(NONE, |it| it.child) }
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        self.all().filter(|it| it.is_named())
    }

    pub(crate) fn first(self) -> Option<Self> {
        self.children().next()
    }

    pub(crate) fn last(self) -> Option<Self> {
        self.children().last()
    }

    pub(crate) fn field(self, name: &str) -> Option<Self> {
        self.all().find(|it| it.name() == name)
    }

    pub(crate) fn fields(self, name: &str) -> impl Iterator<Item = Self> {
        self.all().filter(move |it| it.name() == name)
    }

    pub(crate) fn of_kind(self, kind: &str) -> Option<Self> {
        self.all().find(|it| it.kind() == kind)
    }
}

#[derive(Debug)]
pub(crate) struct Children<'t, 's> {
    tree: &'t Tree<'s>,
    next: u32,
}

impl<'t, 's> Iterator for Children<'t, 's> {
    type Item = Node<'t, 's>;

    fn next(&mut self) -> Option<Self::Item> {
        let node = Node { tree: self.tree, id: self.next };
        self.next = node.raw()?.next;
        Some(node)
    }
}
