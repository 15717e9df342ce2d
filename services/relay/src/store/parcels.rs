//! What is under way on Neo N3, and what was asked for there.

use std::{collections::HashMap, sync::Arc};

use nsl_core::{Error, Result, TenantId, Timestamp};
use nsl_sql::{Db, EngineKind, Kind, Many, Row, Scope, Tx, Value, args};

use super::LaneKey;
use crate::{
    nonces::{Hash, Id},
    validity::{Lane, Try},
};

/// A request as those need it who put it on the chain.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: Id,
    pub(crate) intent: Arc<serde_json::Value>,
    /// In 10⁻⁸ GAS.
    pub(crate) max_fee: Option<u128>,
    /// When it is given up, where no block has it by then.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) is_cancelled: bool,
    /// What the chain took already, for transactions that came to nothing.
    pub(crate) paid: u128,
    /// It was told before that it shares its transaction with no other.
    pub(crate) goes_alone: bool,
}

/// How the reason of a step begins from which on a request goes alone. Steps are never written anew, so it is not forgotten.
pub(crate) const ALONE: &str = "it goes alone: ";

/// A signed transaction that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct NewParcelTry {
    pub(crate) parcel: u64,
    /// How many tries of this parcel came before.
    pub(crate) number: usize,
    pub(crate) requests: Vec<Id>,
    pub(crate) made: Try,
    pub(crate) raw: Vec<u8>,
}

/// What a step changes of the parcels of its lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcels {
    pub(crate) tries: Vec<NewParcelTry>,
    /// Those of which nothing can reach the chain any more.
    pub(crate) gone: Vec<u64>,
}

static TRY: Many = Many {
    one: "INSERT INTO relay_parcels (tenant_id, chain, account, parcel, number, hash, requests, is_void, valid_until,
            network_fee, raw, made_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    many: "INSERT INTO relay_parcels (tenant_id, chain, account, parcel, number, hash, requests, is_void, valid_until,
             network_fee, raw, made_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::json[],
             $8::boolean[], $9::bigint[], $10::bigint[], $11::bytea[], $12::timestamptz[])",
    kinds: &[
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Bytes,
        Kind::Json,
        Kind::Bool,
        Kind::Int,
        Kind::Int,
        Kind::Bytes,
        Kind::Time,
    ],
};

static GONE: Many = Many {
    one: "DELETE FROM relay_parcels WHERE tenant_id = $1 AND chain = $2 AND account = $3 AND parcel = $4",
    many: "DELETE FROM relay_parcels p USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
             AS n (tenant_id, chain, account, parcel)
           WHERE p.tenant_id = n.tenant_id AND p.chain = n.chain AND p.account = n.account AND p.parcel = n.parcel",
    kinds: &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
};

impl Parcels {
    pub(super) fn write(&self, key: &LaneKey, now: Timestamp, tx: &mut Tx<'_>) -> Result<()> {
        let LaneKey { tenant, chain, account } = key;
        let row = |one: &NewParcelTry| {
            let requests: Vec<&str> = one.requests.iter().map(AsRef::as_ref).collect();
            args![
                tenant,
                *chain,
                account.as_ref(),
                one.parcel as i64,
                one.number as i64,
                one.made.hash.to_vec(),
                Value::json(serde_json::json!(requests).to_string()),
                one.made.is_void,
                i64::from(one.made.valid_until),
                one.made.network_fee,
                one.raw.clone(),
                now
            ]
        };
        tx.ask(&TRY, self.tries.iter().map(row).collect())?;
        let gone = self.gone.iter().map(|parcel| args![tenant, *chain, account.as_ref(), *parcel as i64]);
        tx.ask(&GONE, gone.collect()).map(drop)
    }
}

/// What is under way in a lane of Neo N3 as it was stored last, with the bytes of each try.
pub(crate) async fn load_parcels(db: &Db, key: &LaneKey, next: u64) -> Result<(Lane, HashMap<Hash, Vec<u8>>)> {
    let mut lane = Lane { next, ..Lane::default() };
    let mut raws = HashMap::new();
    let tries = "SELECT parcel, hash, requests, is_void, valid_until, network_fee, raw FROM relay_parcels
        WHERE tenant_id = $1 AND chain = $2 AND account = $3 ORDER BY parcel, number";
    for mut row in db.scan(Scope::Tenant(&key.tenant), tries, key.args()).await? {
        let parcel = lane.parcels.entry(row.take::<i64>(0)? as u64).or_default();
        let hash: Vec<u8> = row.take(1)?;
        let hash: Hash = hash.try_into().map_err(|_| Error::internal(anyhow::anyhow!("a hash of another length")))?;
        let requests: Vec<String> = serde_json::from_value(row.take(2)?).map_err(Error::internal)?;
        parcel.requests = requests.into_iter().map(Into::into).collect();
        let is_void = row.take(3)?;
        let valid_until = row.take::<i64>(4)?.try_into().map_err(Error::internal)?;
        parcel.tries.0.push(Try { hash, valid_until, network_fee: row.take(5)?, is_void });
        raws.insert(hash, row.take(6)?);
    }
    lane.waiting = super::waiting(db, key).await?.into();
    Ok((lane, raws))
}

/// What these requests ask for, as far as they have not come to their end; by id.
pub(crate) async fn wanted(db: &Db, tenant: &TenantId, ids: &[Id]) -> Result<HashMap<Id, Wanted>> {
    macro_rules! text {
        ($among:literal) => {
            concat!(
                "SELECT id, intent, max_fee, expires_at, cancelled_at, fee,
                   EXISTS (SELECT 1 FROM relay_steps s WHERE s.tenant_id = relay_requests.tenant_id
                     AND s.request_id = relay_requests.id AND s.reason LIKE $3)
                 FROM relay_requests WHERE tenant_id = $1 AND settled_at IS NULL AND id IN (",
                $among,
                ")"
            )
        };
    }
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let text = match db.kind() {
        EngineKind::Sqlite => text!("SELECT value FROM json_each($2)"),
        EngineKind::Postgres => text!("SELECT json_array_elements_text($2)"),
    };
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let ids = Value::json(serde_json::json!(ids).to_string());
    let rows = db.query(Scope::Tenant(tenant), text, args![tenant, ids, format!("{ALONE}%")]).await?;
    rows.into_iter().map(|row| read(row).map(|one| (one.id.clone(), one))).collect()
}

fn read(mut row: Row) -> Result<Wanted> {
    let (id, intent): (String, serde_json::Value) = (row.take(0)?, row.take(1)?);
    let max_fee: Option<String> = row.take(2)?;
    Ok(Wanted {
        id: id.into(),
        intent: Arc::new(intent),
        max_fee: max_fee.map(|fee| fee.parse().map_err(Error::internal)).transpose()?,
        expires_at: row.take(3)?,
        is_cancelled: row.take::<Option<Timestamp>>(4)?.is_some(),
        paid: row.take::<Option<String>>(5)?.map_or(Ok(0), |fee| fee.parse().map_err(Error::internal))?,
        goes_alone: row.take(6)?,
    })
}
