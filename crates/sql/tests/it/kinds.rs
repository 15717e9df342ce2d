use nsl_core::{Code, Timestamp};
use nsl_sql::{Change, FromValue, Kind, Many, Scope, Statement, Tx, Value, args};

use crate::bed::{Bed, on_each, tenant};

on_each!(
    values_come_back_as_they_went,
    json_comes_back_byte_for_byte,
    many_rows_at_once,
    what_no_column_holds_is_refused
);

const KEEP: &str =
    "INSERT INTO notes (tenant_id, key, body, number, flag, bytes, at, name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const FIND: &str = "SELECT body, number, flag, bytes, at, name FROM notes WHERE tenant_id = $1 AND key = $2";

async fn values_come_back_as_they_went(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let ages = [i64::MIN, -62_135_596_800_000_000, -1, 0, 1, 946_684_800_000_000, 4_102_444_800_000_000, i64::MAX];
    let numbers = [i64::MIN, -1, 0, 1, i64::from(i32::MAX) + 1, 1 << 53, (1 << 53) + 1, i64::MAX];
    let names = ["", " ", "plain", "o'clock; DROP TABLE notes --", "ä€𝄞", "\n\t\\\"$1 ?1", "%_", "NULL"];
    let blobs: [Vec<u8>; 8] = [
        vec![],
        vec![0],
        vec![0xff],
        (0..=255).collect(),
        vec![0; 70_000],
        b"\\x41".to_vec(),
        vec![0x27],
        vec![10, 13],
    ];
    for n in 0..8 {
        let key = format!("k{n}");
        let values = args![
            &cx.tenant,
            key.as_str(),
            Value::json("{}"),
            numbers[n],
            n % 2 == 0,
            blobs[n].clone(),
            Timestamp(ages[n]),
            names[n]
        ];
        db.write(&cx, Statement { sql: KEEP, args: values }).await.unwrap();
        let mut rows = db.query(Scope::Tenant(&cx.tenant), FIND, args![&cx.tenant, key]).await.unwrap();
        let row = &mut rows[0];
        assert_eq!(row.take::<String>(0).unwrap(), "{}");
        assert_eq!(row.take::<i64>(1).unwrap(), numbers[n]);
        assert_eq!(row.take::<bool>(2).unwrap(), n % 2 == 0);
        assert_eq!(row.take::<Vec<u8>>(3).unwrap(), blobs[n]);
        assert_eq!(row.take::<Timestamp>(4).unwrap(), Timestamp(ages[n]));
        assert_eq!(row.take::<String>(5).unwrap(), names[n]);
    }
    let nothing = args![
        &cx.tenant,
        "null",
        Value::Null(Kind::Json),
        None::<i64>,
        None::<bool>,
        None::<Vec<u8>>,
        None::<Timestamp>,
        None::<String>
    ];
    db.write(&cx, Statement { sql: KEEP, args: nothing }).await.unwrap();
    let mut rows = db.query(Scope::Tenant(&cx.tenant), FIND, args![&cx.tenant, "null"]).await.unwrap();
    fn absent<T: FromValue>(row: &mut nsl_sql::Row, at: usize) -> bool {
        row.take::<Option<T>>(at).unwrap().is_none()
    }
    let row = &mut rows[0];
    assert!(absent::<String>(row, 0) && absent::<i64>(row, 1) && absent::<bool>(row, 2));
    assert!(absent::<Vec<u8>>(row, 3) && absent::<Timestamp>(row, 4) && absent::<String>(row, 5));
    assert!(rows[0].take::<i64>(1).is_err() && rows[0].take::<i64>(99).is_err());
}

async fn json_comes_back_byte_for_byte(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let texts = [
        r#"{"b":1,"a":2,"b":3}"#,
        r#"  { "spaced" : [ 1 , 2.50, 1e400 , -0 ] }  "#,
        r#""\u0000 and \ud83d\ude00 and \u00e4""#,
        "null",
        "123456789012345678901234567890.000",
    ];
    for (n, text) in texts.into_iter().enumerate() {
        let sql = "INSERT INTO notes (tenant_id, key, body) VALUES ($1, $2, $3)";
        let key = format!("k{n}");
        let statement = Statement { sql, args: args![&cx.tenant, key.as_str(), Value::json(text)] };
        db.write(&cx, statement).await.unwrap();
        let mut rows = db.query(Scope::Tenant(&cx.tenant), FIND, args![&cx.tenant, key]).await.unwrap();
        assert_eq!(rows[0].take::<String>(0).unwrap(), text);
    }
}

struct Fill {
    rows: Vec<Vec<Value>>,
}

static FILL: Many = Many {
    one: "INSERT INTO notes (tenant_id, key, body, number, flag, bytes, at, name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key",
    many: "INSERT INTO notes (tenant_id, key, body, number, flag, bytes, at, name)
           SELECT * FROM unnest($1::text[], $2::text[], $3::json[], $4::bigint[], $5::boolean[], $6::bytea[], $7::timestamptz[], $8::text[])
           RETURNING key",
    kinds: &[Kind::Text, Kind::Text, Kind::Json, Kind::Int, Kind::Bool, Kind::Bytes, Kind::Time, Kind::Text],
};

impl Change for Fill {
    type Done = Vec<String>;

    async fn apply<'a>(
        group: &'a [&'a Self],
        tx: &'a mut Tx<'_>,
    ) -> nsl_core::Result<Vec<nsl_core::Result<Self::Done>>> {
        let mut done = Vec::new();
        for fill in group {
            let mut found = tx.many(&FILL, fill.rows.clone()).await?;
            done.push(found.iter_mut().map(|row| row.take(0)).collect());
        }
        Ok(done)
    }
}

async fn many_rows_at_once(bed: Bed) {
    let db = bed.open().await;
    for size in [0, 1, 1_000] {
        let cx = tenant();
        let row = |n: i64| {
            let some = n % 3 != 0;
            args![
                &cx.tenant,
                format!("k{n:04}"),
                Value::json(format!("[{n}]")),
                some.then_some(n),
                some.then_some(n % 2 == 0),
                some.then(|| vec![n as u8; 3]),
                some.then_some(Timestamp(n)),
                some.then(|| format!("name {n}"))
            ]
        };
        let rows: Vec<_> = (0..size).map(row).collect();
        let mut keys = db.write(&cx, Fill { rows }).await.unwrap();
        keys.sort();
        assert_eq!(keys, (0..size).map(|n| format!("k{n:04}")).collect::<Vec<_>>());
        let sql = "SELECT body, number, flag, bytes, at, name FROM notes WHERE tenant_id = $1 ORDER BY key";
        let found = db.scan(Scope::Tenant(&cx.tenant), sql, args![&cx.tenant]).await.unwrap();
        assert_eq!(found.len(), size as usize);
        for (n, mut row) in (0..size).zip(found) {
            let some = n % 3 != 0;
            assert_eq!(row.take::<String>(0).unwrap(), format!("[{n}]"));
            assert_eq!(row.take::<Option<i64>>(1).unwrap(), some.then_some(n));
            assert_eq!(row.take::<Option<bool>>(2).unwrap(), some.then_some(n % 2 == 0));
            assert_eq!(row.take::<Option<Vec<u8>>>(3).unwrap(), some.then(|| vec![n as u8; 3]));
            assert_eq!(row.take::<Option<Timestamp>>(4).unwrap(), some.then_some(Timestamp(n)));
            assert_eq!(row.take::<Option<String>>(5).unwrap(), some.then(|| format!("name {n}")));
        }
    }
}

async fn what_no_column_holds_is_refused(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let sql = "INSERT INTO notes (tenant_id, key, number) VALUES ($1, $2, $3)";
    let zero = db.write(&cx, Statement { sql, args: args![&cx.tenant, "a\0b", 1] }).await.unwrap_err();
    assert_eq!((zero.code, &*zero.slug), (Code::Invalid, "sql.text_refused"));
    let read = db.query(Scope::Tenant(&cx.tenant), FIND, args![&cx.tenant, "a\0b"]).await.unwrap_err();
    assert_eq!(read.code, Code::Invalid);
    let misfit = db.write(&cx, Statement { sql, args: args![&cx.tenant, "k", "words"] }).await.unwrap_err();
    assert_eq!(misfit.code, Code::Internal);
    let missing = db.write(&cx, Statement { sql, args: args![&cx.tenant, "k"] }).await.unwrap_err();
    assert_eq!(missing.code, Code::Internal);
    let twice = Statement { sql, args: args![&cx.tenant, "k", 1] };
    db.write(&cx, twice).await.unwrap();
    let twice = db.write(&cx, Statement { sql, args: args![&cx.tenant, "k", 1] }).await.unwrap_err();
    assert_eq!(twice.slug, "sql.collision");
}
