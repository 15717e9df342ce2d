use std::collections::BTreeMap;

use nsl_sandbox::{Database, nsl_command};

/// Column by name: whether it may be null, and its place in the primary key, 0 for none.
type Table = BTreeMap<String, (bool, i64)>;

#[test]
fn both_sql_engines_have_the_same_tables() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::fresh().unwrap();
    for url in [None, Some(database.url())] {
        let mut command = nsl_command(["migrate"]).unwrap();
        command.env("NSL_PROFILE", "development").env("NSL_DATA_DIR", home.path());
        if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (embedded, real) = (of_sqlite(&home.path().join("nsl.db")), of_postgres(&database));
    assert_eq!(embedded.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    for (name, table) in &embedded {
        assert_eq!(table, &real[name], "table {name}: SQLite left, PostgreSQL right");
    }
    for name in ["storage_data", "audit_logs", "idempotency", "api_keys", "schema_migrations"] {
        assert!(embedded.contains_key(name), "no table {name}");
    }
}

fn of_sqlite(file: &std::path::Path) -> BTreeMap<String, Table> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let sql = "SELECT t.name, c.name, c.\"notnull\" = 0 AND c.pk = 0, c.pk FROM pragma_table_list AS t
               JOIN pragma_table_info(t.name) AS c WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%'";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (table, column): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
        tables.entry(table).or_default().insert(column, (row.get(2).unwrap(), row.get(3).unwrap()));
    }
    tables
}

fn of_postgres(database: &Database) -> BTreeMap<String, Table> {
    // A partitioned table must have what it is parted by in its primary key, at the end; that place is not told.
    let sql = "SELECT c.relname, a.attname, NOT a.attnotnull,
            CASE WHEN a.attnum = ANY (p.partattrs::int2[]) THEN 0
                 ELSE coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0) END
        FROM pg_class c LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE c.relnamespace = 'neo_service_layer'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for line in database.query(sql).unwrap().lines() {
        let cells: Vec<&str> = line.split('|').collect();
        let column = (cells[2] == "t", cells[3].parse().unwrap());
        tables.entry(cells[0].to_owned()).or_default().insert(cells[1].to_owned(), column);
    }
    tables
}
