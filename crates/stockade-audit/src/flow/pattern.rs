//! Values that get names.

use std::rc::Rc;

use super::Flow;
use super::value::{Kind, Op, Value, Var};
use crate::ir::{Expr, Id, Pat};

impl<'p, 's> Flow<'p, 's> {
    pub(crate) fn bind(&mut self, pat: &'p Pat<'s>, value: Value) {
        match pat {
            Pat::Name(_) | Pat::Temp(_) => {
                if let Some(var) = Var::of(pat) {
                    self.state.set(var, value);
                }
            }
            Pat::Tuple(parts) => self.bind_tuple(parts, &value),
            Pat::Fields(fields, rest) => {
                for (name, pat) in fields {
                    let it = self.attr(&value, name, 0);
                    self.bind(pat, it);
                }
                if let Some(name) = rest {
                    self.state.set(Var::Name(name), value);
                }
            }
            Pat::Variant(_, parts) => match parts.as_slice() {
                [one] => self.bind(one, value),
                parts => {
                    for it in parts {
                        self.bind(it, value.clone());
                    }
                }
            },
            Pat::Place(id) => self.store(*id, value),
            Pat::Or(parts) => {
                for it in parts {
                    self.bind(it, value.clone());
                }
            }
            Pat::Default(pat, id) => {
                let value = match value {
                    it if it.atom.is_none() && matches!(it.kind, Kind::Unknown | Kind::Null) => {
                        self.eval(*id)
                    }
                    it => it,
                };
                self.bind(pat, value);
            }
            Pat::Value(_) | Pat::Wild => {}
        }
    }

    fn bind_tuple(&mut self, parts: &'p [Pat<'s>], value: &Value) {
        if let Kind::List(items, false) = &value.kind
            && items.len() >= parts.len()
        {
            let items = Rc::clone(items);
            for (at, pat) in parts.iter().enumerate() {
                let it = match at + 1 == parts.len() && items.len() > parts.len() {
                    // The last takes the rest.
                    true => Value::of(Kind::List(
                        Rc::new(items.iter().skip(at).cloned().collect()),
                        false,
                    )),
                    false => items.get(at).cloned().unwrap_or_default(),
                };
                self.bind(pat, it);
            }
            return;
        }
        let cut =
            value.atom.is_some_and(|it| self.above(it, |op| matches!(op, Op::Words | Op::Parts)));
        let go = self.here().is_some_and(|it| it.language.name() == "go");
        for (at, pat) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let op = if at == 0 { Op::Head } else { Op::Piece };
            let it = match value.atom {
                Some(atom) if cut => Value::maybe(self.derive(op, &[atom], 0, "")),
                // Of a value and an error, or whether there was one, the value.
                Some(_) | None if go && parts.len() > 1 && last => {
                    Value { yes: value.yes.clone(), no: value.no.clone(), ..Value::default() }
                }
                Some(_) | None => {
                    let (yes, no) =
                        if go { (None, None) } else { (value.yes.clone(), value.no.clone()) };
                    Value { yes, no, ..value.clone() }
                }
            };
            self.bind(pat, it);
        }
    }

    /// Puts a value into an attribute or an index.
    fn store(&mut self, id: Id, value: Value) {
        let (base, name) = match self.node(id) {
            Expr::Attr(base, name) => (*base, Some(*name)),
            Expr::Index(base, key) => {
                let key = self.eval(*key);
                self.written(id, *base, &key, &value);
                (*base, None)
            }
            _ => return,
        };
        let Some(var) = self.variable(base) else { return };
        let old = self.state.get(var).cloned().unwrap_or_default();
        let new = match (&old.kind, name) {
            (Kind::Map(fields), Some(name)) => {
                let mut fields = (**fields).clone();
                fields.push((name.into(), value));
                Value { kind: Kind::Map(Rc::new(fields)), ..old }
            }
            _ => {
                let Some(it) = self.whole(&value) else { return };
                let parts = old.atom.into_iter().chain([it]).collect::<Vec<_>>();
                Value { atom: self.derive(Op::Flow, &parts, 0, ""), ..old }
            }
        };
        self.state.set(var, new);
    }

    /// The variable that an expression is, or is of.
    pub(crate) fn variable(&self, id: Id) -> Option<Var<'s>> {
        match self.node(id) {
            Expr::Name(it) => Some(Var::Name(it)),
            Expr::Temp(it) => Some(Var::Temp(*it)),
            Expr::Try(it) => self.variable(*it),
            _ => None,
        }
    }

    /// Binds what a pattern takes out of a value that fits it, and says what is known if it does.
    pub(crate) fn matched(&mut self, pat: &'p Pat<'s>, value: &Value) -> Value {
        match pat {
            Pat::Variant("Err" | "None", _) => {
                self.bind(pat, Value::default());
                Value { yes: value.no.clone(), no: value.yes.clone(), ..Value::default() }
            }
            Pat::Variant(name, _) => {
                let narrowed = self.narrowed(value, name);
                self.bind(pat, narrowed);
                let (yes, no) = (value.yes.clone(), value.no.clone());
                if matches!(*name, "Ok" | "Some" | "Continue") {
                    return Value { yes, no, ..Value::default() };
                }
                self.component(value, name)
            }
            Pat::Value(id) => {
                let other = self.eval(*id);
                self.equal(value, &other)
            }
            Pat::Or(parts) => {
                let mut whole: Option<Value> = None;
                for it in parts {
                    let one = self.matched(it, value);
                    whole = Some(match whole {
                        Some(it) => self.either(&it, &one),
                        None => one,
                    });
                }
                whole.unwrap_or_default()
            }
            Pat::Name(_)
            | Pat::Temp(_)
            | Pat::Tuple(_)
            | Pat::Fields(..)
            | Pat::Place(_)
            | Pat::Default(..)
            | Pat::Wild => {
                self.bind(pat, value.clone());
                Value::default()
            }
        }
    }

    /// A value that turned out to be of a type.
    fn narrowed(&mut self, value: &Value, name: &str) -> Value {
        let number = ["int", "int64", "int32", "float64", "bool", "uint", "Number", "Bool"];
        if number.contains(&name) { Value::of(Kind::Num) } else { value.clone() }
    }
}
