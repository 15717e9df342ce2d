use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use nsl_core::{Cx, Entry, Result, Subject, TenantId, Timestamp};
use nsl_sql::{Change, Kind, Many, Single, Tx, Value, args};

/// Refusals of one kind to one caller, counted.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub tenant: Option<TenantId>,
    pub subject: Option<Subject>,
    pub ip: Option<IpAddr>,
    /// The stable slug: `auth.key_unknown`.
    pub reason: String,
    pub service: String,
    pub method: String,
    pub status_code: u16,
    pub count: u64,
    pub at: Timestamp,
    /// What was needed, and what forbade it. Refusals that differ in it are counted apart.
    pub facts: BTreeMap<String, String>,
}

/// A refusal made ready to be counted: its caller as a keyed hash, its address sealed.
pub(crate) struct Tally {
    pub(crate) tenant: TenantId,
    pub(crate) process: String,
    pub(crate) minute: Timestamp,
    pub(crate) who: String,
    pub(crate) refusal: Refusal,
    pub(crate) id: String,
    pub(crate) ip: Option<Vec<u8>>,
    pub(crate) seal_key: Option<std::sync::Arc<str>>,
}

static COUNT: Many = Many {
    one: "INSERT INTO audit_refusals (tenant_id, process, minute, who, reason, service_name, method_name, status_code,
            id, subject, ip_address, key_id, count, created_at, facts)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
          ON CONFLICT (minute, process, tenant_id, who, reason, service_name, method_name, status_code)
          DO UPDATE SET count = audit_refusals.count + excluded.count",
    many: "INSERT INTO audit_refusals (tenant_id, process, minute, who, reason, service_name, method_name, status_code,
            id, subject, ip_address, key_id, count, created_at, facts)
           SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::bigint[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::bigint[], $14::timestamptz[],
            $15::text[])
           ON CONFLICT (minute, process, tenant_id, who, reason, service_name, method_name, status_code)
           DO UPDATE SET count = audit_refusals.count + excluded.count",
    kinds: &[
        Kind::Text, Kind::Text, Kind::Time, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Int, Kind::Text,
        Kind::Text, Kind::Bytes, Kind::Text, Kind::Int, Kind::Time, Kind::Text,
    ],
};

/// Adds to the counts of the minute.
pub(crate) struct Count {
    pub(crate) tallies: Vec<Tally>,
}

impl Change for Count {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        // One row for each key: a statement may not touch a row twice.
        let mut rows: BTreeMap<_, Vec<Value>> = BTreeMap::new();
        for tally in group.iter().flat_map(|count| &count.tallies) {
            let it = &tally.refusal;
            let place = (
                tally.minute,
                &tally.process,
                &tally.tenant,
                &tally.who,
                &it.reason,
                &it.service,
                &it.method,
                it.status_code,
            );
            if let Some(Value::Int(count)) = rows.get_mut(&place).and_then(|row| row.get_mut(12)) {
                *count += it.count as i64;
                continue;
            }
            let subject = it.subject.as_ref().map(|subject| subject.as_str().to_owned());
            let row = args![
                &tally.tenant,
                tally.process.clone(),
                tally.minute,
                tally.who.clone(),
                it.reason.clone(),
                it.service.clone(),
                it.method.clone(),
                it.status_code,
                tally.id.clone(),
                subject,
                tally.ip.clone(),
                tally.seal_key.clone(),
                it.count as i64,
                it.at,
                serde_json::to_string(&it.facts).unwrap_or_default(),
            ];
            rows.insert(place, row);
        }
        tx.many(&COUNT, rows.into_values().collect()).await?;
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}

/// Turns the counts of past minutes into entries of the chain, and gives how many.
pub(crate) struct Close {
    pub(crate) before: Timestamp,
}

impl Single for Close {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        let gone = tx
            .query(
                "DELETE FROM audit_refusals WHERE minute < $1 RETURNING tenant_id, id, subject, service_name,
                 method_name, status_code, reason, count, created_at, ip_address, key_id, facts",
                args![self.before],
            )
            .await?;
        let closed = gone.len() as u64;
        for mut row in gone {
            let cx = Cx::system(row.take(0)?, Duration::ZERO);
            let mut entry = Entry::new(&cx, "access.refused", "", "", row.take(8)?);
            entry.id = row.take(1)?;
            entry.subject = row.take(2)?;
            entry.service = row.take::<String>(3)?.into();
            entry.method = row.take::<String>(4)?.into();
            entry.status_code = u16::try_from(row.take::<i64>(5)?).ok();
            entry.request_id = None;
            entry.error_message = Some(row.take(6)?);
            entry.ip_address = row.take(9)?;
            entry.seal_key = row.take::<Option<String>>(10)?.map(Into::into);
            let facts: BTreeMap<String, String> = serde_json::from_str(&row.take::<String>(11)?).unwrap_or_default();
            entry = entry.response("count", row.take::<i64>(7)?);
            for (name, fact) in facts {
                entry = entry.response(&name, fact);
            }
            tx.note(entry);
        }
        Ok(Ok(closed))
    }
}
