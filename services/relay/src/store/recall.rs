//! What was told under an idempotency key before.

use std::marker::PhantomData;

use nsl_core::{Code, Cx, Error, Result};
use nsl_sql::{Change, Db, Tx};
use serde::{Serialize, de::DeserializeOwned};

const NOT_BEFORE: &str = "relay.not_asked_before";

/// Changes nothing: where its idempotency key came before, the outcome of then is given in its place.
struct Recall<D>(PhantomData<fn() -> D>);

impl<D: Serialize + DeserializeOwned + Send + Sync + 'static> Change for Recall<D> {
    type Done = D;

    async fn apply<'a>(group: &'a [&'a Self], _: &'a mut Tx<'_>) -> Result<Vec<Result<D>>> {
        let not_before = || Error::new(Code::NotFound, NOT_BEFORE, "nothing was done under the idempotency key");
        Ok(group.iter().map(|_| Err(not_before())).collect())
    }
}

/// What a request that is refused now was told when it was done, under its idempotency key: a lost answer is told again
/// though what it asks for is not allowed any more. The refusal, where it was never done.
pub(crate) async fn recall<D>(db: &Db, cx: &Cx, refusal: Error) -> Result<D>
where
    D: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    if cx.once.is_none() {
        return Err(refusal);
    }
    match db.write(cx, Recall(PhantomData)).await {
        Err(error) if error.slug == NOT_BEFORE => Err(refusal),
        told => told,
    }
}
