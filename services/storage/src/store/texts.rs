//! The statements. Those over many rows find each row by its key through LATERAL or ON CONFLICT, since a
//! plain join of a young table would be planned, once and for long, as a scan of all of it.

use nsl_sql::{Kind, Many};

macro_rules! body {
    () => {
        "version, value, sealed, key_id, access_level, shared_with, size_bytes, metadata, accessed_count,
         last_accessed, expires_at, retain_until, created_at, updated_at"
    };
}

pub(super) static FIND: &str = concat!(
    "SELECT ",
    body!(),
    " FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4 AND deleted_at IS NULL"
);

pub(super) static FIND_PAST: &str = "SELECT value, sealed, key_id, size_bytes, metadata, updated_at, expires_at
    FROM storage_versions WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4 AND version = $5";

/// What is known of values, without the values. All of them for `$7`; else those that anybody may read, and for
/// `$8` those that the tenant may, or that are shared with the subject `$9`, which is quoted as in a JSON text:
/// no subject holds a quote.
pub(super) static LIST: &str =
    "SELECT key, version, encrypted, access_level, shared_with, size_bytes, metadata, accessed_count,
      last_accessed, expires_at, retain_until, created_at, updated_at
    FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key > $4 AND key < $5
      AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > $6)
      AND ($7 OR access_level = 'public' OR ($8 AND (access_level = 'tenant'
        OR (access_level = 'shared' AND replace(shared_with, $9, '') <> shared_with))))
    ORDER BY key LIMIT $10";

pub(super) static HISTORY: &str = "SELECT version, deleted_at, encrypted, size_bytes, updated_at FROM (
      SELECT version, deleted_at, encrypted, size_bytes, updated_at, expires_at FROM storage_versions
      WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4
      UNION ALL
      SELECT version, deleted_at, encrypted, size_bytes, updated_at, expires_at FROM storage_data
      WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4
    ) states WHERE version < $5 AND (expires_at IS NULL OR expires_at > $6) ORDER BY version DESC LIMIT $7";

pub(super) static USAGE: &str =
    "SELECT CAST(COALESCE(SUM(bytes), 0) AS bigint), CAST(COALESCE(SUM(items), 0) AS bigint)
    FROM storage_usage WHERE tenant_id = $1";

pub(super) static EXPIRED: &str = "SELECT tenant_id, user_address, chain, key FROM storage_data
    WHERE expires_at IS NOT NULL AND expires_at <= $1 AND deleted_at IS NULL ORDER BY expires_at LIMIT $2";

pub(super) static LAPSED_HISTORY: &str = "SELECT tenant_id, user_address, chain, key FROM storage_versions
    WHERE expires_at IS NOT NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2";

pub(super) static TRIMMABLE: &str = "SELECT tenant_id, user_address, chain, key FROM storage_data
    WHERE deleted_at IS NOT NULL AND deleted_at < $1 ORDER BY deleted_at LIMIT $2";

pub(super) static SURPLUS: &str = "SELECT tenant_id, count(*) FROM storage_data WHERE deleted_at IS NOT NULL
    GROUP BY tenant_id HAVING count(*) > $1";

pub(super) static OLDEST_DELETED: &str = "SELECT tenant_id, user_address, chain, key FROM storage_data
    WHERE tenant_id = $1 AND deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $2";

/// Locks the rows that a group is about to write, in the order in which they are asked for.
pub(super) static LOCK: Many = Many {
    one: "SELECT $5, version, size_bytes, deleted_at, created_at, updated_at, expires_at, retain_until FROM storage_data
          WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4",
    many: "SELECT i.n, d.version, d.size_bytes, d.deleted_at, d.created_at, d.updated_at, d.expires_at, d.retain_until
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS i (tenant_id, user_address, chain, key, n)
           CROSS JOIN LATERAL (
             SELECT s.* FROM storage_data s
             WHERE s.tenant_id = i.tenant_id AND s.user_address = i.user_address AND s.chain = i.chain AND s.key = i.key
             LIMIT 1 FOR UPDATE) d",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

/// What locked rows hold, for writes that keep a part of it.
pub(super) static CONTENT: Many = Many {
    one: "SELECT $5, value, sealed, key_id, access_level, shared_with, metadata FROM storage_data
          WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4",
    many: "SELECT i.n, d.value, d.sealed, d.key_id, d.access_level, d.shared_with, d.metadata
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS i (tenant_id, user_address, chain, key, n)
           CROSS JOIN LATERAL (
             SELECT s.* FROM storage_data s
             WHERE s.tenant_id = i.tenant_id AND s.user_address = i.user_address AND s.chain = i.chain AND s.key = i.key
             LIMIT 1) d",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

/// The sizes of what a key's history holds, to tell exactly what trimming it frees.
pub(super) static SIZES: Many = Many {
    one: "SELECT $5, version, size_bytes FROM storage_versions
          WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4",
    many: "SELECT i.n, d.version, d.size_bytes
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS i (tenant_id, user_address, chain, key, n)
           CROSS JOIN LATERAL (
             SELECT v.version, v.size_bytes FROM storage_versions v
             WHERE v.tenant_id = i.tenant_id AND v.user_address = i.user_address AND v.chain = i.chain AND v.key = i.key
             LIMIT 100000) d",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

/// Copies current states, which are about to be superseded, into the history.
pub(super) static KEEP: Many = Many {
    one: "INSERT INTO storage_versions (tenant_id, user_address, chain, key, version, value, sealed, key_id, encrypted,
            size_bytes, metadata, expires_at, deleted_at, updated_at)
          SELECT tenant_id, user_address, chain, key, version, value, sealed, key_id, encrypted,
            size_bytes, metadata, expires_at, deleted_at, updated_at
          FROM storage_data WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4",
    many:
        "INSERT INTO storage_versions (tenant_id, user_address, chain, key, version, value, sealed, key_id, encrypted,
             size_bytes, metadata, expires_at, deleted_at, updated_at)
           SELECT d.tenant_id, d.user_address, d.chain, d.key, d.version, d.value, d.sealed, d.key_id, d.encrypted,
             d.size_bytes, d.metadata, d.expires_at, d.deleted_at, d.updated_at
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS i (tenant_id, user_address, chain, key)
           CROSS JOIN LATERAL (
             SELECT s.* FROM storage_data s
             WHERE s.tenant_id = i.tenant_id AND s.user_address = i.user_address AND s.chain = i.chain AND s.key = i.key
             LIMIT 1) d",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text],
};

/// Adds states to the history that were superseded within one group, before anyone saw them.
pub(super) static KEEP_UNSEEN: Many = Many {
    one: "INSERT INTO storage_versions (tenant_id, user_address, chain, key, version, value, sealed, key_id, encrypted,
            size_bytes, metadata, expires_at, deleted_at, updated_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    many: "INSERT INTO storage_versions (tenant_id, user_address, chain, key, version, value, sealed, key_id, encrypted,
             size_bytes, metadata, expires_at, deleted_at, updated_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::json[], $7::bytea[],
             $8::text[], $9::boolean[], $10::bigint[], $11::json[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Json,
        Kind::Bytes,
        Kind::Text,
        Kind::Bool,
        Kind::Int,
        Kind::Json,
        Kind::Time,
        Kind::Time,
        Kind::Time,
    ],
};

/// Drops the history of keys below a version and tells what that frees.
pub(super) static TRIM: Many = Many {
    one: "DELETE FROM storage_versions WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4 AND version < $5
          RETURNING tenant_id, size_bytes",
    many: "DELETE FROM storage_versions WHERE ctid = ANY (ARRAY(
             SELECT d.ctid FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
               AS i (tenant_id, user_address, chain, key, below)
             CROSS JOIN LATERAL (
               SELECT v.ctid FROM storage_versions v
               WHERE v.tenant_id = i.tenant_id AND v.user_address = i.user_address AND v.chain = i.chain AND v.key = i.key
                 AND v.version < i.below
               LIMIT 100000) d))
           RETURNING tenant_id, size_bytes",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

/// Writes current states. A row that another writer made or moved meanwhile is left alone, and missing in
/// what is returned.
pub(super) static SET: Many = Many {
    one: "INSERT INTO storage_data (tenant_id, user_address, chain, key, version, replaces, value, sealed, key_id, encrypted,
            access_level, shared_with, size_bytes, metadata, expires_at, retain_until, deleted_at, created_at, updated_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
          ON CONFLICT (tenant_id, user_address, chain, key) DO UPDATE SET
            version = excluded.version, replaces = excluded.replaces, value = excluded.value, sealed = excluded.sealed,
            key_id = excluded.key_id, encrypted = excluded.encrypted, access_level = excluded.access_level,
            shared_with = excluded.shared_with, size_bytes = excluded.size_bytes, metadata = excluded.metadata,
            expires_at = excluded.expires_at, retain_until = excluded.retain_until, deleted_at = excluded.deleted_at,
            created_at = excluded.created_at, updated_at = excluded.updated_at
          WHERE storage_data.version = excluded.replaces
          RETURNING version",
    many: "INSERT INTO storage_data (tenant_id, user_address, chain, key, version, replaces, value, sealed, key_id, encrypted,
             access_level, shared_with, size_bytes, metadata, expires_at, retain_until, deleted_at, created_at, updated_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::json[],
             $8::bytea[], $9::text[], $10::boolean[], $11::text[], $12::text[], $13::bigint[], $14::json[],
             $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[])
           ON CONFLICT (tenant_id, user_address, chain, key) DO UPDATE SET
             version = excluded.version, replaces = excluded.replaces, value = excluded.value, sealed = excluded.sealed,
             key_id = excluded.key_id, encrypted = excluded.encrypted, access_level = excluded.access_level,
             shared_with = excluded.shared_with, size_bytes = excluded.size_bytes, metadata = excluded.metadata,
             expires_at = excluded.expires_at, retain_until = excluded.retain_until, deleted_at = excluded.deleted_at,
             created_at = excluded.created_at, updated_at = excluded.updated_at
           WHERE storage_data.version = excluded.replaces
           RETURNING version",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Json,
        Kind::Bytes,
        Kind::Text,
        Kind::Bool,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Json,
        Kind::Time,
        Kind::Time,
        Kind::Time,
        Kind::Time,
        Kind::Time,
    ],
};

/// Sees to it that there is something to lock of each tenant.
pub(super) static FIRST_PART: Many = Many {
    one: "INSERT INTO storage_usage (tenant_id, part, bytes, items) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING",
    many: "INSERT INTO storage_usage (tenant_id, part, bytes, items)
           SELECT t, 0, 0, 0 FROM unnest($1::text[]) AS i (t) ON CONFLICT DO NOTHING",
    kinds: &[Kind::Text],
};

/// Lets one group at a time decide by what these tenants hold. What they hold is read by the statement after
/// this one, which sees all that was committed while this one waited.
pub(super) static ONE_AT_A_TIME: Many = Many {
    one: "SELECT tenant_id FROM storage_usage WHERE tenant_id = $1 AND part = 0",
    many: "SELECT d.tenant_id FROM unnest($1::text[]) AS i (tenant_id) CROSS JOIN LATERAL (
             SELECT u.* FROM storage_usage u WHERE u.tenant_id = i.tenant_id AND u.part = 0 LIMIT 1 FOR UPDATE) d",
    kinds: &[Kind::Text],
};

/// The parts of what tenants hold, as far as they are committed.
pub(super) static PARTS: Many = Many {
    one: "SELECT tenant_id, bytes, items FROM storage_usage WHERE tenant_id = $1",
    many: "SELECT d.tenant_id, d.bytes, d.items FROM unnest($1::text[]) AS i (tenant_id) CROSS JOIN LATERAL (
             SELECT u.* FROM storage_usage u WHERE u.tenant_id = i.tenant_id LIMIT 1000) d",
    kinds: &[Kind::Text],
};

/// Adds to this connection's part of what tenants hold.
pub(super) static HOLD: Many = Many {
    one: "INSERT INTO storage_usage (tenant_id, part, bytes, items) VALUES ($1, 0, $2, $3)
          ON CONFLICT (tenant_id, part) DO UPDATE SET bytes = storage_usage.bytes + excluded.bytes,
            items = storage_usage.items + excluded.items",
    many: "INSERT INTO storage_usage (tenant_id, part, bytes, items)
           SELECT t, pg_backend_pid() % 64, b, n FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS i (t, b, n)
           ON CONFLICT (tenant_id, part) DO UPDATE SET bytes = storage_usage.bytes + excluded.bytes,
             items = storage_usage.items + excluded.items",
    kinds: &[Kind::Text, Kind::Int, Kind::Int],
};

pub(super) static TOUCH: Many = Many {
    one: "UPDATE storage_data SET accessed_count = accessed_count + $5,
            last_accessed = CASE WHEN last_accessed > $6 THEN last_accessed ELSE $6 END
          WHERE tenant_id = $1 AND user_address = $2 AND chain = $3 AND key = $4 AND deleted_at IS NULL",
    many: "UPDATE storage_data s SET accessed_count = s.accessed_count + d.n, last_accessed = greatest(s.last_accessed, d.at)
           FROM (
             SELECT l.ctid AS place, i.n, i.at
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
               AS i (tenant_id, user_address, chain, key, n, at)
             CROSS JOIN LATERAL (
               SELECT r.ctid FROM storage_data r
               WHERE r.tenant_id = i.tenant_id AND r.user_address = i.user_address AND r.chain = i.chain AND r.key = i.key
                 AND r.deleted_at IS NULL
               LIMIT 1 FOR UPDATE) l
           ) d WHERE s.ctid = d.place",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Time],
};

#[cfg(test)]
mod tests {
    use nsl_core::SystemClock;
    use nsl_sql::{BASE, Config};

    use super::*;

    fn array(kind: &Kind) -> &'static str {
        match kind {
            Kind::Bool => "boolean[]",
            Kind::Int => "bigint[]",
            Kind::Text => "text[]",
            Kind::Bytes => "bytea[]",
            Kind::Time => "timestamptz[]",
            Kind::Json => "json[]",
        }
    }

    #[tokio::test]
    async fn on_an_empty_table_every_row_is_found_by_its_key() {
        let database = nsl_sandbox::Database::fresh().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let all = [&BASE, &crate::MIGRATIONS];
        Config::postgres(database.url()).migrate(dir.path(), &SystemClock, &all).await.unwrap();
        let plain = [&LOCK, &CONTENT, &SIZES, &KEEP, &KEEP_UNSEEN, &SET, &FIRST_PART, &ONE_AT_A_TIME, &PARTS, &HOLD];
        let by_place = [&TRIM, &TOUCH, &super::super::remove::ROWS, &super::super::remove::VERSIONS];
        for many in plain.iter().chain(&by_place) {
            let kinds: Vec<_> = many.kinds.iter().map(array).collect();
            let nulls = vec!["'{}'"; kinds.len()].join(", ");
            let plan = database
                .query(&format!(
                    "set role nsl; set search_path = neo_service_layer; set nsl.tenants = 'a,b';
                     set plan_cache_mode = force_generic_plan; set enable_seqscan = off;
                     prepare one ({}) as {};
                     explain (costs off) execute one ({nulls});",
                    kinds.join(", "),
                    many.many
                ))
                .unwrap();
            assert!(!plan.contains("Seq Scan"), "{}\n{plan}", many.many);
        }
    }
}
