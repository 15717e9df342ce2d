//! The measure of all: a handler that answers 200 and does nothing.

use anyhow::Result;
use axum::{Router, routing::get};

use crate::wrk::{self, Rate};

pub(crate) fn measure() -> Result<Rate> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}/", listener.local_addr()?);
    #[allow(clippy::disallowed_methods, reason = "ends with the runtime, three lines on")]
    runtime.spawn(async move { axum::serve(listener, Router::new().route("/", get(|| async {}))).await });
    let rate = wrk::measure(&url, &[], &[]);
    runtime.shutdown_background();
    rate
}
