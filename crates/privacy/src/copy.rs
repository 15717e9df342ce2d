//! A copy of what is held of a person: JSON values, in sealed pieces of a bounded size.

use bytes::Bytes;
use nsl_api::privacy::{DataPiece, DataTask};
use nsl_core::{Code, Error, Result, Subject, TenantId};
use nsl_engine::blobs::Blobs;
use nsl_keyring::{Keyring, bind};

/// A piece is closed when it has grown beyond this; one value more still fits into a message.
const FULL: usize = 1 << 20;

/// A copy that is being written.
pub struct Copy<'a> {
    task: &'a DataTask,
    /// Each try has paths of its own, so that two never write over each other.
    attempt: String,
    blobs: &'a Blobs,
    keyring: &'a Keyring,
    text: Vec<u8>,
    pieces: Vec<DataPiece>,
    items: u64,
}

impl<'a> Copy<'a> {
    pub(crate) fn new(task: &'a DataTask, attempt: String, blobs: &'a Blobs, keyring: &'a Keyring) -> Self {
        Self { task, attempt, blobs, keyring, text: Vec::new(), pieces: Vec::new(), items: 0 }
    }

    pub async fn add(&mut self, item: &serde_json::Value) -> Result<()> {
        self.add_text(item.to_string().as_bytes()).await
    }

    /// Adds a JSON value as it is written.
    pub async fn add_text(&mut self, item: &[u8]) -> Result<()> {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(item);
        self.items += 1;
        if self.text.len() > FULL { self.close().await } else { Ok(()) }
    }

    pub(crate) async fn finish(mut self) -> Result<(u64, Vec<DataPiece>)> {
        self.close().await?;
        Ok((self.items, self.pieces))
    }

    async fn close(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let subject = self.task.subject.as_ref().ok_or_else(|| Error::internal(anyhow::anyhow!("a copy of nobody")))?;
        let number = self.pieces.len() + 1;
        let path = format!("{}/{}/{}-{number}", folder(&self.task.request), part(self.task), self.attempt);
        let key = self.keyring.current(&self.task.tenant, subject).await?;
        let sealed = key.seal(&place(&self.task.tenant, subject, &path), &self.text)?;
        self.blobs.put(&path, Bytes::from(sealed)).await?;
        self.pieces.push(DataPiece { path, key_id: key.id().to_string() });
        self.text.clear();
        Ok(())
    }
}

/// What a piece says: JSON values with commas between. None when it is gone, or its key is.
pub async fn open(
    blobs: &Blobs,
    keyring: &Keyring,
    tenant: &TenantId,
    subject: &Subject,
    piece: &DataPiece,
) -> Result<Option<String>> {
    let Some(sealed) = blobs.get(&piece.path).await? else { return Ok(None) };
    let key = match keyring.find(tenant, &piece.key_id.as_str().into()).await {
        Ok(Some(key)) => key,
        Ok(None) => return Ok(None),
        Err(error) if error.code == Code::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let plain = key.open(&place(tenant, subject, &piece.path), &sealed)?;
    String::from_utf8(plain).map(Some).map_err(Error::internal)
}

/// Where all pieces of a request lie, also those of tries that came to nothing.
pub fn folder(request: &str) -> String {
    format!("privacy/{request}")
}

fn part(task: &DataTask) -> String {
    format!("{}-{}", task.service, hex::encode(task.tenant.as_str()))
}

fn place(tenant: &TenantId, subject: &Subject, path: &str) -> Vec<u8> {
    bind(&[b"privacy copy", tenant.as_str().as_bytes(), subject.as_str().as_bytes(), path.as_bytes()])
}
