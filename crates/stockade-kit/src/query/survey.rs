//! Everything that a statement names, wherever in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterTableOperation, BinaryOperator, CopySource, Expr, FromTable, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, RenameTableNameKind, Select, SelectItem, SetExpr, Statement,
    TableFactor, TableObject, TableWithJoins, Visit, Visitor,
};

use super::catalog::{self, ACCOUNTS, CATALOG, FILES, OWN, SECRET_COLUMNS, SECRETS, SYSTEM, parts};
use super::{Dialect, Kind, Loss, Query, Refusal, clauses, functions};

/// What was seen so far.
pub(super) struct Survey<'a> {
    /// Whose functions are known.
    meant: Dialect,
    /// How names are compared.
    dialect: Dialect,
    kind: Option<Kind>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    functions: BTreeSet<String>,
    obstacles: Vec<Refusal>,
    /// The last parts of names of columns, and whether all of a table is asked for.
    columns: BTreeSet<String>,
    takes_all: bool,
    loss: Option<Loss>,
    /// Whether something is written, and it is not known what.
    writes_unknown: bool,
    /// The names of each enclosing `WITH`.
    scopes: Vec<BTreeSet<String>>,
    /// What the queries of a `WITH` see of it: those before them.
    defining: BTreeMap<*const sqlparser::ast::Query, BTreeSet<String>>,
    /// Names of functions in the place of a table.
    calls: BTreeSet<*const ObjectName>,
    /// Words that stand where SQL Server would begin another statement.
    openings: &'a BTreeSet<String>,
}

impl<'a> Survey<'a> {
    pub(super) fn of(
        meant: Dialect,
        dialect: Dialect,
        statement: &Statement,
        openings: &'a BTreeSet<String>,
    ) -> Query {
        let mut survey = Self {
            meant,
            dialect,
            kind: None,
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            functions: BTreeSet::new(),
            obstacles: Vec::new(),
            columns: BTreeSet::new(),
            takes_all: false,
            loss: None,
            writes_unknown: false,
            scopes: Vec::new(),
            defining: BTreeMap::new(),
            calls: BTreeSet::new(),
            openings,
        };
        // Nothing here breaks off.
        let _ = statement.visit(&mut survey);
        if survey.writes_unknown {
            survey.writes.extend(survey.reads.iter().cloned());
        }
        survey.catalogs();
        Query {
            text: String::new(),
            plain: String::new(),
            kind: survey.kind.unwrap_or(Kind::Change),
            reads: survey.reads,
            writes: survey.writes,
            functions: survey.functions,
            obstacles: survey.obstacles,
            loss: survey.loss,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        if !self.obstacles.contains(&refusal) && self.obstacles.len() < OBSTACLES_MAX {
            self.obstacles.push(refusal);
        }
    }

    fn name(&self, name: &ObjectName) -> String {
        let parts = name.0.iter().map(|it| match it {
            ObjectNamePart::Identifier(it) => self.ident(it),
            ObjectNamePart::Function(it) => it.to_string(),
        });
        parts.collect::<Vec<_>>().join(".")
    }

    /// A name as the database compares it, and in quotes where it would look like two.
    fn ident(&self, it: &Ident) -> String {
        let name = match (self.dialect, it.quote_style) {
            (Dialect::Postgres, Some(_)) => it.value.clone(),
            _ => it.value.to_lowercase(),
        };
        if name.contains('.') { format!("\"{name}\"") } else { name }
    }

    fn call(&mut self, name: &ObjectName) {
        let name = self.name(name);
        let plain = match self.dialect {
            Dialect::Postgres => name.strip_prefix("pg_catalog.").unwrap_or(&name),
            Dialect::Sqlite
            | Dialect::MySql
            | Dialect::DuckDb
            | Dialect::MsSql
            | Dialect::BigQuery
            | Dialect::ClickHouse
            | Dialect::Snowflake
            | Dialect::Unknown => &name,
        };
        if !functions::only_read(self.meant, plain) {
            self.refuse(Refusal::Function(name.clone()));
        }
        self.functions.insert(name);
    }

    /// A call whose argument says whether it is one that only reads.
    fn call_with(&mut self, name: &ObjectName, arguments: &FunctionArguments) {
        let called = self.name(name);
        let setting = matches!(called.as_str(), "current_setting" | "pg_catalog.current_setting");
        // With an argument, it is set by it.
        let last_id = self.meant == Dialect::MySql && called == "last_insert_id";
        let is_empty = matches!(arguments, FunctionArguments::List(it) if it.args.is_empty());
        if setting && clauses::is_open_setting(arguments) || last_id && is_empty {
            self.functions.insert(called);
        } else {
            self.call(name);
        }
    }

    /// `TABLE t`, which is a query and no relation to the parser.
    fn table_command(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { left, right, .. } = body {
            self.table_command(left);
            self.table_command(right);
        } else if let SetExpr::Table(it) = body {
            let parts = [it.schema_name.clone(), it.table_name.clone()];
            let name = ObjectName::from(parts.into_iter().flatten().collect::<Vec<_>>());
            self.takes_all = true;
            let _ = self.pre_visit_relation(&name);
        }
    }

    /// What is read of accounts, and what is changed of what the database knows of itself.
    fn catalogs(&mut self) {
        let columns = |names: &[&str]| self.columns.iter().any(|it| names.contains(&it.as_str()));
        let (logs_in, takes_all) = (columns(SECRET_COLUMNS), self.takes_all);
        let read = self.reads.iter().find(|it| {
            let (schema, name) = parts(it);
            ACCOUNTS.contains(&name)
                || schema == "mysql" && name == "user" && (logs_in || takes_all)
                || matches!(schema, "vault" | "pgsodium") && SECRETS.contains(&name)
        });
        let written = self.writes.iter().find(|it| {
            let (schema, name) = parts(it);
            let database = it.split_once('.').map_or("", |(database, _)| database);
            SYSTEM.contains(&schema)
                || self.dialect == Dialect::MsSql && OWN.contains(&database)
                || name.starts_with("sqlite_")
                || schema.is_empty() && (ACCOUNTS.contains(&name) || CATALOG.contains(&name))
        });
        let found = [
            read.map(|it| Refusal::Accounts(it.clone())),
            written.map(|it| Refusal::System(it.clone())),
        ];
        found.into_iter().flatten().for_each(|it| self.refuse(it));
    }

    fn write(&mut self, name: &ObjectName) {
        let name = self.name(name);
        self.writes.insert(name);
    }

    /// SQL Server takes no such word for an alias, and runs what it begins.
    fn alias(&mut self, name: &Ident) {
        if matches!(self.meant, Dialect::MsSql | Dialect::Unknown)
            && name.quote_style.is_none()
            && self.openings.contains(&name.value.to_ascii_lowercase())
        {
            self.refuse(Refusal::Stacked);
        }
    }

    fn table_alias(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::JsonTable { alias: Some(alias), .. }
        | TableFactor::OpenJsonTable { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. }
        | TableFactor::Pivot { alias: Some(alias), .. }
        | TableFactor::Unpivot { alias: Some(alias), .. }
        | TableFactor::MatchRecognize { alias: Some(alias), .. }
        | TableFactor::XmlTable { alias: Some(alias), .. } = factor
            && !alias.explicit
        {
            self.alias(&alias.name);
        }
    }

    fn write_tables(&mut self, tables: &[TableWithJoins]) {
        for table in tables {
            self.write_factor(&table.relation);
        }
    }

    fn write_factor(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { name, .. } = factor {
            self.write(name);
        } else {
            self.writes_unknown = true;
        }
    }

    /// What a statement changes.
    fn targets(&mut self, statement: &Statement) {
        if let Statement::Insert(it) = statement
            && let TableObject::TableName(name) = &it.table
            && it.multi_table_into_clauses.is_empty()
        {
            self.write(name);
        } else if let Statement::Insert(it) = statement
            && let TableObject::TableFunction(function) = &it.table
        {
            self.call(&function.name);
        } else if let Statement::Update(it) = statement
            && it.table.joins.is_empty()
        {
            self.write_factor(&it.table.relation);
        } else if let Statement::Delete(it) = statement
            && it.tables.is_empty()
        {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &it.from;
            self.write_tables(tables);
        } else if let Statement::Merge(it) = statement {
            self.write_factor(&it.table);
        } else if let Statement::CreateTable(it) = statement {
            self.write(&it.name);
        } else if let Statement::CreateVirtualTable { name, module_name, .. } = statement {
            self.write(name);
            if !catalog::is_module(module_name) {
                self.refuse(Refusal::Elsewhere(module_name.value.to_lowercase()));
            }
        } else if let Statement::RenameTable(all) = statement {
            all.iter().flat_map(|it| [&it.old_name, &it.new_name]).for_each(|it| self.write(it));
        } else if let Statement::CreateView(it) = statement {
            self.write(&it.name);
        } else if let Statement::AlterTable(it) = statement {
            self.write(&it.name);
            for operation in &it.operations {
                if let AlterTableOperation::RenameTable {
                    table_name: RenameTableNameKind::As(name) | RenameTableNameKind::To(name),
                } = operation
                {
                    self.write(name);
                }
            }
        } else if let Statement::CreateTrigger(it) = statement {
            self.write(&it.table_name);
            if let Some(body) = &it.exec_body {
                self.call(&body.func_desc.name);
            }
        } else if let Statement::CreateIndex(it) = statement {
            self.write(&it.table_name);
        } else if let Statement::Drop { names, .. } = statement {
            names.iter().for_each(|it| self.write(it));
        } else if let Statement::Truncate(it) = statement {
            it.table_names.iter().for_each(|it| self.write(&it.name));
        } else if let Statement::Copy { source: CopySource::Table { table_name, .. }, to, .. } =
            statement
        {
            if *to {
                let name = self.name(table_name);
                self.reads.insert(name);
            } else {
                self.write(table_name);
            }
        } else {
            self.writes_unknown = true;
        }
    }

    /// DuckDB reads `FROM 'a.csv'` and `FROM "a.csv"` from a file.
    fn is_file(&self, relation: &ObjectName) -> bool {
        let Some(ObjectNamePart::Identifier(last)) = relation.0.last() else { return true };
        if last.quote_style == Some('\'') {
            return true;
        }
        // It has no names in backticks.
        matches!(self.dialect, Dialect::DuckDb)
            && last.quote_style != Some('`')
            && (last.value.contains(['/', '\\', '.', ':', '*', '?'])
                || relation.0.len() > 1
                    && FILES.contains(&last.value.to_ascii_lowercase().as_str()))
    }
}

impl Visitor for Survey<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        let kind = kind(statement);
        let is_first = self.kind.is_none();
        let reads = matches!(kind, Kind::Read | Kind::Explain | Kind::Show);
        if !reads {
            self.refuse(Refusal::Writes(kind));
            self.targets(statement);
            self.loss = self.loss.or_else(|| Loss::of(statement));
        }
        if is_first || !reads {
            self.kind = Some(kind);
        }
        if !is_first && kind != Kind::Read {
            self.refuse(Refusal::Writes(kind));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &sqlparser::ast::Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            self.refuse(Refusal::Locks);
        }
        if !clauses::only_read(query) {
            self.refuse(Refusal::Clause);
        }
        self.table_command(&query.body);
        let mut visible = self
            .defining
            .remove(&std::ptr::from_ref(query))
            .or_else(|| self.scopes.last().cloned())
            .unwrap_or_default();
        if let Some(with) = &query.with {
            for definition in &with.cte_tables {
                let name = self.ident(&definition.alias.name);
                let mut seen = visible.clone();
                if with.recursive {
                    seen.insert(name.clone());
                }
                self.defining.insert(std::ptr::from_ref(definition.query.as_ref()), seen);
                visible.insert(name);
            }
        }
        self.scopes.push(visible);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &sqlparser::ast::Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let Some(into) = &select.into {
            self.refuse(Refusal::Into);
            self.writes.extend(into.targets.iter().map(|it| it.to_string().to_lowercase()));
        }
        self.takes_all |= select
            .projection
            .iter()
            .any(|it| matches!(it, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.alias(alias);
            }
        }
        if !select.optimizer_hints.iter().all(|it| clauses::is_plain_hint(&it.text)) {
            self.refuse(Refusal::Clause);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if self.calls.contains(&std::ptr::from_ref(relation)) {
            return ControlFlow::Continue(());
        }
        let name = self.name(relation);
        if self.is_file(relation) || catalog::is_stage(self.meant, relation) {
            self.refuse(Refusal::File(name.clone()));
        }
        if catalog::is_linked(self.meant, relation) {
            self.refuse(Refusal::Elsewhere(name.clone()));
        }
        if !self.scopes.last().is_some_and(|it| it.contains(&name)) {
            self.reads.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.table_alias(factor);
        if let TableFactor::Table { with_hints, .. } = factor
            && with_hints.iter().any(clauses::is_lock)
        {
            self.refuse(Refusal::Locks);
        }
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } =
            factor
        {
            self.calls.insert(std::ptr::from_ref(name));
            self.call(name);
        } else if matches!(
            factor,
            TableFactor::MatchRecognize { .. } | TableFactor::SemanticView { .. }
        ) {
            self.refuse(Refusal::Clause);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.call_with(&function.name, &function.args);
        } else if let Expr::BinaryOp { op, .. } = expr {
            if matches!(
                op,
                BinaryOperator::Assignment
                    | BinaryOperator::Custom(_)
                    | BinaryOperator::PGCustomBinaryOperator(_)
            ) {
                self.refuse(Refusal::Operator);
            }
        } else if let Expr::Identifier(name) = expr {
            self.columns.insert(name.value.to_ascii_lowercase());
        } else if let Expr::CompoundIdentifier(parts) = expr {
            self.columns.extend(parts.last().map(|it| it.value.to_ascii_lowercase()));
            // A sequence of MariaDB or Oracle, which counts on when it is looked at.
            if let Some(last) = parts.last()
                && last.value.eq_ignore_ascii_case("nextval")
            {
                self.refuse(Refusal::Function("nextval".to_owned()));
            }
        } else if let Expr::Prefixed { .. } = expr {
            // `_gbk'…'`: in some character sets, a backslash is the second half of a letter.
            self.refuse(Refusal::Ambiguous("a text in another character set"));
        }
        ControlFlow::Continue(())
    }
}

/// What a statement is for. What is not named here changes something.
fn kind(statement: &Statement) -> Kind {
    use Statement as S;
    if matches!(statement, S::Query(_)) {
        Kind::Read
    } else if matches!(statement, S::Explain { .. } | S::ExplainTable { .. }) {
        Kind::Explain
    } else if matches!(
        statement,
        S::ShowFunctions { .. }
            | S::ShowVariable { .. }
            | S::ShowStatus { .. }
            | S::ShowVariables { .. }
            | S::ShowCreate { .. }
            | S::ShowColumns { .. }
            | S::ShowDatabases { .. }
            | S::ShowSchemas { .. }
            | S::ShowTables { .. }
            | S::ShowViews { .. }
            | S::ShowCollation { .. }
            | S::ShowCharset(_)
            | S::ShowProcessList { .. }
    ) {
        Kind::Show
    } else if matches!(statement, S::Pragma { .. }) {
        Kind::Pragma
    } else if matches!(statement, S::Insert(_)) {
        Kind::Insert
    } else if matches!(statement, S::Update(_)) {
        Kind::Update
    } else if matches!(statement, S::Delete(_)) {
        Kind::Delete
    } else if matches!(statement, S::Merge(_)) {
        Kind::Merge
    } else if matches!(
        statement,
        S::Copy { .. }
            | S::CopyIntoSnowflake { .. }
            | S::LoadData { .. }
            | S::Unload { .. }
            | S::ExportData(_)
            | S::Directory { .. }
    ) {
        Kind::Copy
    } else if matches!(
        statement,
        S::AttachDatabase { .. } | S::AttachDuckDBDatabase { .. } | S::DetachDuckDBDatabase { .. }
    ) {
        Kind::Attach
    } else if matches!(statement, S::Call(_) | S::Execute { .. }) {
        Kind::Call
    } else if matches!(
        statement,
        S::Set(_)
            | S::Reset(_)
            | S::Use(_)
            | S::Prepare { .. }
            | S::Deallocate { .. }
            | S::Discard { .. }
            | S::Declare { .. }
            | S::Fetch { .. }
            | S::Close { .. }
            | S::LISTEN { .. }
            | S::UNLISTEN { .. }
            | S::NOTIFY { .. }
    ) {
        Kind::Session
    } else if matches!(
        statement,
        S::StartTransaction { .. }
            | S::Commit { .. }
            | S::Rollback { .. }
            | S::Savepoint { .. }
            | S::ReleaseSavepoint { .. }
    ) {
        Kind::Transaction
    } else if matches!(statement, S::Lock(_) | S::LockTables { .. } | S::UnlockTables) {
        Kind::Lock
    } else {
        Kind::Change
    }
}

/// So many obstacles of one statement are told apart.
const OBSTACLES_MAX: usize = 32;
