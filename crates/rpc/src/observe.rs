use std::{borrow::Cow, future::Future, panic::AssertUnwindSafe, sync::OnceLock, time::Duration};

use futures_util::FutureExt;
use nsl_core::{Code, Cx, Deadline, Error, Result, Trace};
use tokio::time::Instant;
use tracing::Span;

use crate::method::{Ending, Method, Via};

/// Every call passes here, near and far, at the caller and where it is served: the deadline holds, the
/// outcome is counted, a panic is an internal error, and a private cause is logged once, where it arose,
/// and then dropped, so that callers see the same whether the service is near or far.
#[doc(hidden)]
pub async fn observe<T>(
    method: &'static Method,
    via: Via,
    deadline: Deadline,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut count = Count { method, via, started: Instant::now(), ending: Ending::Cancelled };
    let result = if deadline.remaining().is_zero() {
        Err(late(method))
    } else {
        let call = AssertUnwindSafe(call).catch_unwind();
        match tokio::time::timeout_at(deadline.instant().into(), call).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::internal(anyhow::anyhow!("panicked: {}", words(panic.as_ref())))),
            Err(_) => Err(late(method)),
        }
    };
    count.ending = match &result {
        Ok(_) => Ending::Ok,
        Err(error) => Ending::Failed(error.code),
    };
    result.map_err(|error| log_once(method, count.started.elapsed(), error))
}

pub(crate) fn late(method: &Method) -> Error {
    Error::new(Code::Timeout, "deadline", format!("{method} took longer than the caller waits"))
}

/// Counts when it is dropped, so that calls whose caller went away are counted too.
struct Count {
    method: &'static Method,
    via: Via,
    started: Instant,
    ending: Ending,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.method.count(self.via, self.ending, self.started.elapsed());
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

fn log_once(method: &Method, took: Duration, error: Error) -> Error {
    let Some(cause) = error.cause() else { return error };
    let (slug, duration) = (&error.slug, took.as_millis() as u64);
    match error.code {
        Code::Internal => {
            tracing::error!(error.code = %slug, cause = format_args!("{cause:#}"), duration, "{method} failed");
        }
        Code::Unavailable | Code::Timeout => {
            tracing::warn!(error.code = %slug, cause = format_args!("{cause:#}"), duration, "{method} failed");
        }
        _ => tracing::debug!(error.code = %slug, cause = format_args!("{cause:#}"), duration, "{method} refused"),
    }
    let mut bare = Error::new(error.code, "", error.message);
    bare.slug = error.slug;
    bare.retry_after_ms = error.retry_after_ms;
    bare.details = error.details;
    bare
}

/// How spans and W3C trace context turn into each other. What exports traces knows; this crate does not.
#[derive(Clone, Copy)]
pub struct TraceHooks {
    /// The `traceparent` that stands for this span, if it is traced.
    pub inject: fn(&Span) -> Option<String>,
    /// Makes this span a child of what the `traceparent` names.
    pub adopt: fn(&Span, &str),
}

static HOOKS: OnceLock<TraceHooks> = OnceLock::new();

/// Set once, where the subscriber is installed; later calls change nothing.
pub fn set_trace_hooks(hooks: TraceHooks) {
    let _ = HOOKS.set(hooks);
}

pub(crate) fn adopt(span: &Span, cx: &Cx) {
    if let (Some(hooks), Some(parent)) = (HOOKS.get(), &cx.trace.traceparent) {
        (hooks.adopt)(span, parent);
    }
}

/// The trace as it goes to the next process: with the current span as the parent, when it is traced.
pub(crate) fn outgoing(cx: &Cx) -> Cow<'_, Cx> {
    let Some(parent) = HOOKS.get().and_then(|hooks| (hooks.inject)(&Span::current())) else {
        return Cow::Borrowed(cx);
    };
    let trace = Trace { traceparent: Some(parent.into()), ..cx.trace.clone() };
    Cow::Owned(Cx { trace, ..cx.clone() })
}
