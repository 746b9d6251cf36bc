//! A small shop in SQLite, and the two ways to ask it: a query that is written here and only takes
//! values, and SQL that somebody else wrote.
//!
//! For the second, a text first becomes a [`ReadOnly`], which is one statement that reads and says
//! in words why another is not. That is advice. What holds is in SQLite: its own parser calls the
//! authorizer for every table, column and function that a statement uses, so there is no second
//! opinion about what it means; the connection was opened read-only, so that even a mistake in the
//! authorizer writes nothing; and a deadline, a length and a row limit end what is merely expensive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use stockade_kit::Failure;
use stockade_kit::query::{Dialect, Query, ReadOnly};

use crate::tell::printable;

pub(crate) const ROWS_MAX: usize = 200;
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const TIME_MAX: Duration = Duration::from_secs(2);
const VALUE_BYTES_MAX: i32 = 64 * 1024;
const SQL_BYTES_MAX: i32 = 8 * 1024;

/// Columns that free SQL may read. `customers` has an e-mail column as well, which is not here.
const READABLE: [(&str, &[&str]); 3] = [
    ("products", &["id", "name", "price_cents"]),
    ("customers", &["id", "name", "city"]),
    ("orders", &["id", "customer_id", "product_id", "quantity", "status"]),
];

/// What may be read, as it is told to the model.
pub(crate) fn schema() -> String {
    let tables = READABLE.map(|(table, columns)| format!("{table}({})", columns.join(", ")));
    tables.join(", ")
}

/// Functions that neither reach outside nor build something huge from something small.
const FUNCTIONS: [&str; 22] = [
    "abs",
    "avg",
    "coalesce",
    "count",
    "date",
    "glob",
    "ifnull",
    "iif",
    "instr",
    "length",
    "like",
    "lower",
    "max",
    "min",
    "nullif",
    "round",
    "row_number",
    "substr",
    "sum",
    "total",
    "trim",
    "upper",
];

const SAMPLE: &str = "
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price_cents INTEGER);
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, email TEXT);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER, product_id INTEGER,
        quantity INTEGER, status TEXT
    );
    INSERT INTO products VALUES (1, 'lantern', 2450), (2, 'rope', 1200), (3, 'compass', 3900);
    INSERT INTO customers VALUES
        (1, 'Ada', 'London', 'ada@shop.example'), (2, 'Grace', 'New York', 'grace@shop.example'),
        (3, 'Katherine', 'Hampton', 'katherine@shop.example');
    INSERT INTO orders VALUES
        (1, 1, 1, 2, 'shipped'), (2, 1, 3, 1, 'open'), (3, 2, 2, 10, 'open'),
        (4, 3, 3, 1, 'cancelled');
";

const ORDERS_OF: &str = "
    SELECT orders.id AS id, products.name AS product, orders.quantity AS quantity, orders.status
    AS status FROM orders JOIN customers ON customers.id = orders.customer_id
    JOIN products ON products.id = orders.product_id
    WHERE customers.name = ?1 AND (?2 IS NULL OR orders.status = ?2) ORDER BY orders.id
";

pub(crate) struct Database {
    /// Holds the tables: they live as long as a connection to them does.
    _tables: Mutex<Connection>,
    /// For queries that are written here.
    own: Mutex<Connection>,
    /// For SQL from outside.
    free: Mutex<Connection>,
    /// When the running free statement is stopped, in milliseconds since `epoch`.
    deadline_ms: Arc<AtomicU64>,
    epoch: Instant,
}

/// The answer to a query.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Rows {
    /// The names of the columns, in order.
    pub(crate) columns: Vec<String>,
    /// The values of each row, in the order of the columns.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there was more than is shown.
    pub(crate) more: bool,
}

/// One value for a placeholder of a query.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum Parameter {
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Database {
    pub(crate) fn sample() -> rusqlite::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("file:/shop-{}?vfs=memdb", COUNT.fetch_add(1, Ordering::Relaxed));
        let tables = Connection::open(&name)?;
        tables.execute_batch(SAMPLE)?;
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let own = Connection::open_with_flags(&name, read_only)?;
        let mut free = Connection::open_with_flags(&name, read_only)?;
        free.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
        free.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX)?;
        free.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        // The tables' definitions are read while nobody is asked about it.
        free.prepare("SELECT 1 FROM products")?;
        free.authorizer(Some(authorize))?;

        let epoch = Instant::now();
        let deadline_ms = Arc::new(AtomicU64::new(0));
        let stop_at = Arc::clone(&deadline_ms);
        let late = move || millis(epoch.elapsed()) > stop_at.load(Ordering::Relaxed);
        free.progress_handler(OPERATIONS_BETWEEN_LOOKS, Some(late))?;
        Ok(Self {
            _tables: Mutex::new(tables),
            own: Mutex::new(own),
            free: Mutex::new(free),
            deadline_ms,
            epoch,
        })
    }

    /// A named query: the caller chooses values, not words of SQL.
    pub(crate) fn orders_of(&self, customer: &str, status: Option<&str>) -> Result<Rows, Failure> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = own.prepare(ORDERS_OF);
        statement
            .and_then(|mut it| rows(&mut it, &[&customer, &status]))
            .map_err(|error| Failure::new("the query failed", error))
    }

    /// One statement that somebody else wrote, once it is known to read.
    pub(crate) fn select(&self, sql: &ReadOnly, values: &[Parameter]) -> Result<Rows, Failure> {
        self.run(sql.sql(), values)
    }

    fn run(&self, sql: &str, parameters: &[Parameter]) -> Result<Rows, Failure> {
        let values: Vec<Cell> = parameters.iter().map(Parameter::cell).collect();
        let values: Vec<&dyn rusqlite::ToSql> =
            values.iter().map(|it| it as &dyn rusqlite::ToSql).collect();
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let stop_at = millis(self.epoch.elapsed() + TIME_MAX);
        self.deadline_ms.store(stop_at, Ordering::Relaxed);
        let statement = free.prepare(sql);
        statement.and_then(|mut it| rows(&mut it, &values)).map_err(why)
    }
}

/// A text from outside, if it is one statement that reads.
pub(crate) fn read_only(sql: &str) -> Result<ReadOnly, Failure> {
    let statement = Query::parse(Dialect::Sqlite, sql).and_then(Query::read_only);
    statement.map_err(|refusal| Failure::told(format!("cannot run this: {refusal}")))
}

/// SQLite asks this for everything that a statement does.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let action = context.action;
    let allowed = if let AuthAction::Read { table_name, column_name } = action {
        READABLE.iter().any(|(table, columns)| {
            // An empty name is SQLite's way to ask about the table as a whole.
            *table == table_name && (column_name.is_empty() || columns.contains(&column_name))
        })
    } else if let AuthAction::Function { function_name } = action {
        FUNCTIONS.contains(&function_name.to_ascii_lowercase().as_str())
    } else {
        matches!(action, AuthAction::Select | AuthAction::Recursive)
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

fn rows(
    statement: &mut rusqlite::Statement<'_>,
    values: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Rows> {
    let columns: Vec<String> = statement.column_names().map(printable).collect();
    let mut found = statement.query(values)?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        if rows.len() == ROWS_MAX || bytes > ANSWER_BYTES_MAX {
            return Ok(Rows { columns, rows, more: true });
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = json(row.get_ref(column)?);
            bytes += value.as_str().map_or(8, str::len);
            values.push(value);
        }
        rows.push(values);
    }
    Ok(Rows { columns, rows, more: false })
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => printable(&String::from_utf8_lossy(text)).into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}

/// The kind of mistake is told, so that a model can mend its query; SQLite's words are not, since
/// they name columns that the caller must not know.
fn why(error: rusqlite::Error) -> Failure {
    use rusqlite::ffi::ErrorCode;
    let public = if matches!(error, rusqlite::Error::MultipleStatement) {
        "one statement at a time"
    } else if matches!(error, rusqlite::Error::InvalidParameterCount(..)) {
        "the number of parameters is wrong"
    } else {
        let code = error.sqlite_error_code();
        if code == Some(ErrorCode::AuthorizationForStatementDenied) {
            "the query uses something that is not allowed"
        } else if code == Some(ErrorCode::OperationInterrupted) {
            "the query takes too long"
        } else if code == Some(ErrorCode::TooBig) {
            "the query or one of its values is too long"
        } else {
            "the query is not valid"
        }
    };
    Failure::new(public, error)
}

impl Parameter {
    fn cell(&self) -> Cell {
        match self {
            Self::Integer(number) => Cell::Integer(*number),
            Self::Real(number) => Cell::Real(*number),
            Self::Text(text) => Cell::Text(text.clone()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const OPERATIONS_BETWEEN_LOOKS: i32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: Result<usize, &str>) {
        let database = Database::sample().unwrap();
        match (database.run(sql, &[]), expected) {
            (Ok(rows), Ok(count)) => assert_eq!(rows.rows.len(), count, "{sql}"),
            (Err(failure), Err(public)) => {
                let told = failure.public();
                assert!(told.starts_with(public), "{sql}: {told} ({})", failure.private());
                assert!(!told.contains("email"), "{sql}");
            }
            (answer, _) => panic!("{sql}: {answer:?}"),
        }
    }

    #[test]
    fn reading_what_is_offered_works() {
        check("SELECT name FROM products WHERE price_cents > 2000", Ok(2));
        check("SELECT count(*) FROM orders", Ok(1));
        check("SELECT upper(name) FROM customers ORDER BY city", Ok(3));
        check(
            "WITH open AS (SELECT * FROM orders WHERE status = 'open') SELECT id FROM open",
            Ok(2),
        );
        check("SELECT 1; ", Ok(1));
    }

    #[test]
    fn everything_else_is_refused_by_the_database() {
        const DENIED: &str = "the query uses something that is not allowed";
        check("SELECT email FROM customers", Err(DENIED));
        check("SELECT * FROM customers", Err(DENIED));
        check("SELECT 1 FROM customers WHERE email LIKE 'a%'", Err(DENIED));
        check("SELECT sql FROM sqlite_schema", Err(DENIED));
        check("SELECT * FROM pragma_database_list", Err(DENIED));
        check("PRAGMA table_info(customers)", Err(DENIED));
        check("UPDATE products SET price_cents = 0", Err(DENIED));
        check("DELETE FROM orders", Err(DENIED));
        check("DROP TABLE orders", Err(DENIED));
        check("INSERT INTO products VALUES (9, 'x', 1)", Err(DENIED));
        check("CREATE TABLE t (a)", Err(DENIED));
        check("CREATE TEMP TABLE t (a)", Err(DENIED));
        check("ATTACH '/etc/passwd' AS p", Err(DENIED));
        check("VACUUM INTO '/var/tmp/copy'", Err(DENIED));
        check("BEGIN", Err(DENIED));
        check("SELECT load_extension('x')", Err("the query is not valid"));
        check("SELECT randomblob(1000000)", Err("the query is not valid"));
        check("SELECT printf('%.*c', 1000000, 'x')", Err("the query is not valid"));
        check("SELECT 1; DROP TABLE orders", Err(DENIED));
        check("SELECT 1; SELECT 2", Err("one statement at a time"));
        check("SELECT ?1", Err("the number of parameters is wrong"));
        check("SELEC 1", Err("the query is not valid"));
        check(&format!("SELECT '{}'", "x".repeat(9000)), Err("the query or one of its"));
    }

    #[test]
    fn a_statement_that_does_not_read_is_refused_in_words() {
        let says = |sql: &str| read_only(sql).unwrap_err().public();
        let several = "cannot run this: there is more than one statement";
        assert_eq!(says("SELECT 1; DROP TABLE orders"), several);
        let change = "cannot run this: it is an `ATTACH`, or has one in it";
        assert_eq!(says("ATTACH '/etc/passwd' AS p"), change);
        let function = "cannot run this: the function `load_extension` is not known to only read";
        assert_eq!(says("SELECT load_extension('x')"), function);
    }

    #[test]
    fn the_connection_is_read_only_without_the_authorizer() {
        let database = Database::sample().unwrap();
        let own = database.own.lock().unwrap();
        let error = own.execute("DELETE FROM orders", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ffi::ErrorCode::ReadOnly));
    }

    #[test]
    fn an_endless_query_ends() {
        check(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            Err("the query takes too long"),
        );
    }

    #[test]
    fn a_long_answer_is_cut_and_says_so() {
        let database = Database::sample().unwrap();
        let counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
            SELECT i FROM n";
        let rows = database.select(&read_only(counting).unwrap(), &[]).unwrap();
        assert_eq!((rows.rows.len(), rows.more), (ROWS_MAX, true));
    }

    #[test]
    fn a_value_is_never_sql() {
        let database = Database::sample().unwrap();
        assert_eq!(database.orders_of("Ada", None).unwrap().rows.len(), 2);
        assert_eq!(database.orders_of("Ada", Some("open")).unwrap().rows.len(), 1);
        assert_eq!(database.orders_of("' OR 1=1 --", None).unwrap().rows.len(), 0);
        let name = Parameter::Text("' OR 1=1 --".to_owned());
        let sql = read_only("SELECT id FROM customers WHERE name = ?1").unwrap();
        let rows = database.select(&sql, &[name]).unwrap();
        assert_eq!(rows.rows.len(), 0);
    }
}
