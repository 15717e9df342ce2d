//! What was told under an idempotency key before.

use std::marker::PhantomData;

use nsl_core::{Code, Cx, Error, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::{change::Single, db::Db, tx::Tx};

const NOT_BEFORE: &str = "sql.not_asked_before";

/// Changes nothing: where its idempotency key came before, the outcome of then is given in its place.
struct Recall<D>(PhantomData<fn() -> D>);

impl<D: Serialize + DeserializeOwned + Send + Sync + 'static> Single for Recall<D> {
    type Done = D;

    async fn one(&self, _: &mut Tx<'_>) -> Result<Result<D>> {
        Ok(Err(Error::new(Code::NotFound, NOT_BEFORE, "nothing was done under the idempotency key")))
    }
}

impl Db {
    /// What a request that is refused now was told when it was done, under its idempotency key: a lost answer is told
    /// again though what it asks for is not allowed, or can't be looked up, any more. The refusal, where it was never
    /// done.
    pub async fn recall<D>(&self, cx: &Cx, refusal: Error) -> Result<D>
    where
        D: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        if cx.once.is_none() {
            return Err(refusal);
        }
        match self.write(cx, Recall(PhantomData)).await {
            Err(error) if error.slug == NOT_BEFORE => Err(refusal),
            told => told,
        }
    }
}
