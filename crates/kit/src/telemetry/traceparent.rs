use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Registry, registry::LookupSpan};

use super::line::Facts;

/// Makes a span the child of what a caller sent as `traceparent`. Nonsense is ignored, as W3C Trace
/// Context asks for. Where no traces are sent, log lines within the span carry the caller's ids, so that
/// they can still be joined.
pub fn adopt(span: &Span, traceparent: &str) {
    let Some(parent) = parse(traceparent) else { return };
    let ids = (parent.trace_id(), parent.span_id());
    let parent = Context::new().with_remote_span_context(parent);
    if span.set_parent(parent).is_err() {
        span.with_subscriber(|(id, dispatch)| {
            if let Some(span) = dispatch.downcast_ref::<Registry>().and_then(|spans| spans.span(id)) {
                let mut extensions = span.extensions_mut();
                let mut facts = extensions.remove::<Facts>().unwrap_or_default();
                facts.trace_id = Some(ids.0.to_string());
                facts.span_id = Some(ids.1.to_string());
                extensions.insert(facts);
            }
        });
    }
}

/// The `traceparent` that names a span to the next process; nothing when traces are not sent, and
/// then the caller's own is what to send on.
pub fn inject(span: &Span) -> Option<String> {
    let context = span.context();
    let current = context.span().span_context().clone();
    let flags = current.trace_flags().to_u8();
    current.is_valid().then(|| format!("00-{}-{}-{flags:02x}", current.trace_id(), current.span_id()))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append further parts.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        let good = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(good.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(good.is_sampled() && good.is_remote());
        assert!(parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future").is_some());
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
